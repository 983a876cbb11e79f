"""The kernel of virtual time dies, or lab7 is told to end: one sentence, the exit code, packets kept, nothing left."""

from __future__ import annotations

import csv
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scapy.utils import PcapNgReader

from tests.emulation.deaths.running_lab import CANNOT, End, Run, end_by, finish, start
from tests.emulation.processes import Process
from tests.emulation.support import eventually

EXPERIMENT = ("http-keep-alive", "--repeat", "100", "--time", "virtual")
BOOTS_WITHIN_S = 300.0


def kernel_of(run: Run) -> Process | None:
    """The kernel: the child of its guard; the processes in it are children of the kernel."""
    guard = guard_of(run)
    return next((one for one in run.family if guard and one.parent == guard.pid and one.name == "linux"), None)


def guard_of(run: Run) -> Process | None:
    return next((one for one in run.family if one.parent == run.process.pid), None)


def has_packets(run: Run) -> bool:
    return any(path.stat().st_size > 1000 for path in run.results.glob("*/*/*.raw"))


MOMENTS: dict[str, Callable[[Run], bool]] = {
    "boot": lambda run: kernel_of(run) is not None,
    "network": lambda run: len(run.family) > 4,
    "packets": has_packets,
}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run in virtual time."""
    begun = start("run", *EXPERIMENT, cwd=tmp_path)
    yield begun
    finish(begun)


def reach(run: Run, moment: str) -> None:
    assert eventually(lambda: MOMENTS[moment](run) or run.process.poll() is not None, BOOTS_WITHIN_S)
    assert run.process.poll() is None, run.process.communicate()


def folder_of(run: Run) -> Path:
    """The folder of the kernel's job, an argument of its guard."""
    guard = guard_of(run)
    assert guard is not None
    return Path(next(word for word in guard.words if "/lab7-kernel-" in word))


def assert_ended(run: Run, end: End, says: str, moment: str) -> None:
    sentence, _, place = end.sentence.partition("; packets captured until then are in ")
    assert sentence.startswith(says)
    if not place:
        assert moment != "packets"
        assert not list(run.results.glob("*/*"))
        return
    folder_name, _, measured = place.partition(", with ")
    folder = run.results.parent / folder_name
    captures = sorted(folder.glob("*.pcapng"))
    assert captures
    for capture in captures:
        with PcapNgReader(str(capture)) as reader:
            assert list(reader)
    assert says in (folder / "incomplete").read_text()
    partial = []
    if measured:
        count = int(
            measured.removesuffix(" measured times in partial.csv").removesuffix(" measured time in partial.csv")
        )
        with (folder / "partial.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == count
        partial = ["partial.csv"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*(capture.name for capture in captures), "incomplete", *partial]
    )


@pytest.mark.parametrize("moment", ["packets", *(pytest.param(one, marks=pytest.mark.slow) for one in MOMENTS)])
def test_a_killed_kernel_is_one_sentence(run: Run, moment: str) -> None:
    reach(run, moment)
    folder, victim = folder_of(run), kernel_of(run)
    assert victim is not None
    end = end_by(run, victim, signal.SIGKILL, CANNOT)
    assert not folder.exists()
    assert_ended(run, end, "the kernel of virtual time was killed by SIGKILL before its job ended", moment)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_guard_of_the_kernel_is_one_sentence(run: Run, moment: str) -> None:
    reach(run, moment)
    folder, victim = folder_of(run), guard_of(run)
    assert victim is not None
    end = end_by(run, victim, signal.SIGKILL, CANNOT)
    assert not folder.exists()
    assert_ended(run, end, "the guard of the kernel of virtual time was killed by SIGKILL before its job ended", moment)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_ends_a_run_in_virtual_time(run: Run, moment: str, number: signal.Signals) -> None:
    reach(run, moment)
    folder = folder_of(run)
    end = end_by(run, run.outer, number, 128 + number)
    assert not folder.exists()
    assert_ended(run, end, f"stopped by {number.name}", moment)
