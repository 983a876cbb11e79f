"""Network of a test with the pytest marker `lab7`, its capture, and the files that are kept if the test fails."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest

from lab7.experiments.harness.capture.capture import Capture, CaptureInterface
from lab7.experiments.harness.catalogue.suggestion import did_you_mean
from lab7.experiments.harness.cli.networks import make_topology
from lab7.experiments.harness.discovery import TopologyEntry, UnknownNameError, find_topology
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from lab7.experiments.library.pictures import LadderPicture, draw_ladder
from lab7.topologies.emulation.errors import EmulationError, MachineError
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.emulation.user_module import is_user_file

EXAMPLE = '@pytest.mark.lab7(topology="web")'
# Keyword arguments of the marker that are not parameters of the topology, including those of Testbed.
TESTBED = ("seed", "links", "switch", "arp", "ipv6", "stp")
OTHERS = ("topology", "time", "capture")
# Number of lines of the ladder diagram in a failed test's report.
LADDER_LINES = 40


@dataclass
class Recording:
    """Capture at every interface of every host during a test, in a temporary file."""

    path: Path
    _capture: Capture | None

    def stop(self) -> Path:
        """Stop the capture, so that the file contains everything sent so far; return its path. Idempotent."""
        if self._capture is not None:
            capture, self._capture = self._capture, None
            capture.stop()
        return self.path

    def read(self) -> CaptureFile:
        """Stop the capture and return its frames."""
        return read_capture(self.stop())

    def ladder(self, **options: Any) -> LadderPicture:
        """Stop the capture and return its ladder diagram; the options are those of draw_ladder."""
        return draw_ladder(self.stop(), **options)


@dataclass
class TestNetwork:
    """Running network of one test, and its capture (None if the test's marker `lab7` has capture=False)."""

    __test__ = False
    bed: Testbed
    _recording: Recording | None
    _kept: dict[Path, str] = field(default_factory=dict)

    @property
    def recording(self) -> Recording:
        """Capture of the test's packets; the test fails if its marker has capture=False."""
        if self._recording is None:
            _fail("the mark of this test says capture=False: leave it out for a test that uses `capture`")
        return self._recording

    def keep(self, item: pytest.Item) -> str:
        """Store the capture and the ladder diagram of a failed test; return a text for pytest's report."""
        if self._recording is None:
            return "no capture, since the mark says capture=False"
        folder = artifacts_folder(item)
        if folder not in self._kept:
            self._kept[folder] = stored(self._recording, folder)
        return self._kept[folder]


def artifacts_folder(item: pytest.Item) -> Path:
    """Return the folder for the capture and diagram of a failed test, named by its node id."""
    root = item.config.rootpath / str(item.config.getoption("lab7_artifacts"))
    return root / re.sub(r"[^\w.=-]+", "-", item.nodeid).strip("-")


def stored(recording: Recording, folder: Path) -> str:
    """Store a failed test's capture and ladder diagram in a folder; return a text on them for pytest's report."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Exclude the folder from version control, as pytest does with its cache.
        (folder.parent / ".gitignore").write_text("*\n")
        (folder / "capture.pcapng").write_bytes(recording.stop().read_bytes())
        captured = read_capture(folder / "capture.pcapng")
        # Without a message, the ladder has the segments of TCP, such as a connection that was refused.
        tcp = not draw_ladder(captured).ladder.arrows
        picture = draw_ladder(captured, first=None, tcp=tcp, title="capture.pcapng")
        if not picture.ladder.arrows:
            return f"capture: {folder}\nno ladder, since the capture has no message and no TCP segment"
        text = draw_ladder(captured, first=LADDER_LINES, tcp=tcp).text
        picture.save(folder / "ladder.txt")
        picture.save(folder / "ladder.svg")
    except (OSError, EmulationError) as error:
        return f"the capture cannot be kept in {folder}: {error}"
    return f"capture and ladder: {folder}\n{text}"


def _fail(sentence: str) -> NoReturn:
    # The report of the test has only this sentence, without the traceback of the exception.
    raise pytest.fail.Exception(f"lab7: {sentence}", pytrace=False) from None


@contextmanager
def network_of(item: pytest.Item) -> Iterator[TestNetwork]:
    """Start the network that a test's marker `lab7` describes, and capture its packets, for the duration of the test.

    Skips the test if the machine cannot emulate the network. Fails the test, with one sentence, if the marker describes
    no valid network.
    """
    mark = item.get_closest_marker("lab7")
    given = dict(mark.kwargs) if mark is not None else {}
    if mark is not None and mark.args:
        _fail(f"the mark lab7 takes keyword arguments: {EXAMPLE}")
    topology = _topology(item, given)
    options = {name: given[name] for name in TESTBED if given.get(name) is not None}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lab7-test-"))
        try:
            bed = stack.enter_context(Testbed(topology, **options))
            for host in bed.net.hosts:
                # Run commands in the test's current folder, so that relative file names mean the same in both.
                host.folder = Path.cwd()
            path = Path(folder, "capture.pcapng")
            recording = None
            if given.get("capture", True):
                recording = Recording(path, stack.enter_context(Capture(path, _interfaces(bed))))
        except MachineError as error:
            pytest.skip(str(error))
        except EmulationError as error:
            _fail(str(error))
        yield TestNetwork(bed, recording)


def _interfaces(bed: Testbed) -> list[CaptureInterface]:
    return [
        CaptureInterface(f"{host.name}:{interface.name}", host.namespace_pid, interface.name)
        for host in bed.net.hosts
        for interface in host.intfList()
        if interface.name != "lo"
    ]


def _topology(item: pytest.Item, given: Mapping[str, Any]) -> Any:
    """Build the topology that a test's marker `lab7` gives as a name, class or function, or a file beside the test."""
    topology = given.get("topology")
    if topology is None:
        near = next((name for name in given if did_you_mean(name, ["topology"])), None)
        typed = f" (the mark has {near}=: did you mean topology?)" if near else ""
        _fail(f"the fixture testbed needs a topology{typed}: {EXAMPLE}, a class derived from Topo, or a file")
    if callable(topology):
        entry = TopologyEntry(getattr(topology, "__name__", "topology"), topology, inspect.getdoc(topology) or "", ())
    else:
        entry = _find(item, str(topology))
    parameters = {name: value for name, value in given.items() if name not in (*TESTBED, *OTHERS)}
    if "ipv6" in given and "ipv6" in inspect.signature(getattr(entry.make, "build", entry.make)).parameters:
        parameters["ipv6"] = given["ipv6"]
    texts = {name: str(value) for name, value in parameters.items() if isinstance(value, str | int | float)}
    others = {name: value for name, value in parameters.items() if name not in texts}
    if others:
        entry = TopologyEntry(entry.name, functools.partial(entry.make, **others), entry.text, ())
    try:
        return make_topology(entry, texts)
    except click.ClickException as error:
        _fail(error.format_message())
    except EmulationError as error:
        _fail(str(error))


def _find(item: pytest.Item, name: str) -> TopologyEntry:
    file, colon, chosen = name.partition(":")
    if is_user_file(file):
        places = [folder / file for folder in (item.path.parent, item.config.rootpath, Path.cwd())]
        name = str(next((place for place in places if place.exists()), places[0])) + colon + chosen
    try:
        return find_topology(name)
    except (UnknownNameError, EmulationError) as error:
        _fail(str(error))
