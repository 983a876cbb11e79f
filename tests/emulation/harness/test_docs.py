"""Every command of the guides, typed: what they show below it is what it says.

The commands of one network, from all guides, share one `lab7 shell`; all these networks are up side by side.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.harness.discovery import all_topologies
from lab7.experiments.harness.implementations.registry import implementations
from lab7.topologies.emulation.control import registry
from lab7.topologies.emulation.provisioning import packages
from lab7.topologies.emulation.virtual import kernel
from tests.docs.reading import GUIDES, Command, agrees, commands, every_command, short
from tests.docs.sessions import Session, checkout, run_in_terminal
from tests.emulation.support import LAB7, environment, read_until, start_lab7

SHOWN, FAILED = 0, 1
TERMINAL_S = 300.0
EVERY = [one for one in every_command() if "elsewhere" not in one.block.marks]
SHELLS = [one for one in EVERY if one.text.startswith("lab7 shell ")]
TYPED = [one for one in EVERY if one.network is not None and one.text != "exit"]
TERMINAL = [one for one in EVERY if one.network is None and one not in SHELLS]
# The long targets are the test run itself, or what is run here piece by piece.
NOT_HERE = ("make ",)
VIRTUAL = "--time virtual"
# The program of each real server and client.
REAL = {one.name: one.program for one in implementations().values()}


def missing(one: Command) -> str:
    """The program that this machine lacks for a command, or nothing."""
    words = one.text.split()
    for program in one.block.marks.get("needs", "").split():
        if shutil.which(program) is None:
            return program
    if VIRTUAL in one.text and kernel.find() is None:
        return "the kernel of virtual time"
    _, of_role, what = one.text.partition("--replace ")
    if of_role and (real := what.split()[0].partition("=")[2]) in REAL and shutil.which(REAL[real]) is None:
        return real
    program = words[0] if one.network is None else words[1] if len(words) > 1 else "true"
    known = packages.package_of(program) != program or program == "tshark"
    return program if known and shutil.which(program) is None else ""


def is_there(one: Command) -> bool:
    """Whether this checkout has what a block says that it needs."""
    topology = one.block.marks.get("topology")
    return topology is None or topology in all_topologies()


def network_of(one: Command) -> str:
    return one.network if one.network is not None else one.text.removeprefix("lab7 shell ")


# Large networks; one guide's mark is enough.
LARGE = {network_of(one) for one in SHELLS if "slow" in one.block.marks}


def marked(some: list[Command]) -> list[Any]:
    """Commands as parameters: those for large networks are slow."""
    slow = {True: [pytest.mark.slow], False: []}
    return [pytest.param(one, marks=slow[network_of(one) in LARGE], id=str(one)) for one in some]


def surroundings() -> dict[str, str]:
    # As for a reader: a run that the machine disturbed is run again.
    return environment({"PATH": f"{LAB7.parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200", "LAB7_AGAIN": "2"})


def assert_agrees(one: Command, said: str) -> None:
    shown = "\n".join(one.output)
    assert agrees(one.output, said), f"{one.where} shows\n{shown}\nand this came:\n{said}"


@pytest.fixture(scope="module")
def sessions(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Session]]:
    """One running network for each that the tests of this run need."""
    mine = [item for item in request.session.items if item.path == request.path]
    asked = [item.callspec.params.get("one") for item in mine if hasattr(item, "callspec")]
    typed: dict[str, list[Command]] = {}
    for one in SHELLS:
        if one in asked and is_there(one) and not missing(one):
            typed[network_of(one)] = []
    for one in TYPED:
        if one in asked and is_there(one) and not missing(one):
            typed.setdefault(network_of(one), []).append(one)
    cwd = checkout(tmp_path_factory.mktemp("networks"))
    running = {network: Session(LAB7, network, some, cwd, surroundings()) for network, some in typed.items()}
    try:
        yield running
    finally:
        for session in running.values():
            session.end()


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("top"))


@pytest.mark.parametrize("one", marked(SHELLS))
def test_a_network_of_the_guides_starts_and_says_what_is_there(one: Command, sessions: dict[str, Session]) -> None:
    if not is_there(one):
        pytest.skip(f"this checkout has no topology {one.block.marks['topology']} yet")
    if missing(one):
        pytest.skip(f"{missing(one)} is not installed")
    said, _ = sessions[network_of(one)].said()
    assert_agrees(one, said)


@pytest.mark.parametrize("one", marked(TYPED))
def test_a_line_at_the_prompt_says_what_the_guide_shows(one: Command, sessions: dict[str, Session]) -> None:
    if not is_there(one):
        pytest.skip(f"this checkout has no topology {one.block.marks['topology']} yet")
    if missing(one):
        pytest.skip(f"{missing(one)} is not installed")
    said, code = sessions[network_of(one)].said(one)
    assert code == 0 or one.text.endswith(" wait"), f"{one.where} `{one.text}` ended with {code}:\n{said}"
    assert "Unknown command" not in said
    assert_agrees(one, said)


class Networks:
    """Networks that are up for blocks that say so, each started when its first command is typed."""

    def __init__(self, folder: Path) -> None:
        self.changes = {registry.VARIABLE: str(folder / "runtime")}
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def surroundings(self, one: Command) -> dict[str, str]:
        """The environment of a command."""
        words = one.block.marks.get("up")
        if words is None:
            return surroundings()
        if words not in self._processes:
            self._processes[words] = start_lab7("up", *words.split(), cwd=self._folder, changes=self.changes)
            read_until(self._processes[words], b"Ctrl-C takes it down.")
        return surroundings() | self.changes

    def end(self) -> None:
        for process in self._processes.values():
            process.terminate()
            process.communicate(timeout=TERMINAL_S)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Networks]:
    running = Networks(tmp_path_factory.mktemp("up"))
    yield running
    running.end()


def check_in_terminal(one: Command, top: Path, networks: Networks) -> None:
    said, code = run_in_terminal(one, top, networks.surroundings(one), TERMINAL_S)
    # On a busy machine a measured time may miss its tolerance, which is no mistake of the guide's.
    timed = one.text.startswith("lab7 run ") and VIRTUAL not in one.text
    allowed = (SHOWN, FAILED) if timed else (SHOWN,)
    assert code in allowed, f"{one.where} `{one.text}` ended with {code}:\n{said}"
    assert_agrees(one, said)


QUICK = [one for one in TERMINAL if "slow" not in one.block.marks and one.block.language == "console"]


@pytest.mark.parametrize("one", QUICK, ids=str)
def test_a_command_of_the_guides_says_what_they_show(one: Command, top: Path, networks: Networks) -> None:
    if missing(one):
        pytest.skip(f"{missing(one)} is not installed")
    check_in_terminal(one, top, networks)


@pytest.mark.slow
@pytest.mark.parametrize("file", GUIDES, ids=short)
def test_the_commands_of_a_guide_work_one_after_the_other(file: Path, tmp_path: Path, networks: Networks) -> None:
    """With the long ones, in one folder, as a person types them: some need the results of those before."""
    top = checkout(tmp_path)
    typed = [one for one in commands(file) if one in TERMINAL and not one.text.startswith(NOT_HERE)]
    for one in typed:
        if not missing(one) and is_there(one):
            check_in_terminal(one, top, networks)
    if not typed:
        pytest.skip("this guide has nothing to type in a terminal")
