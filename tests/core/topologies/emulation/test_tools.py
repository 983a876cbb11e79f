"""Tools of the system are found with the PATH of Debian's ordinary users, which has no folder of administrators."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab7.experiments.harness.doctor import examination
from lab7.experiments.harness.implementations.registry import Implementation
from lab7.topologies.emulation import tools
from lab7.topologies.emulation.errors import MachineError
from lab7.topologies.emulation.provisioning import packages

# login.defs(5): ENV_PATH of Debian, which every user but root has.
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"


@pytest.fixture
def administrator_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program in a folder of administrators, while PATH is that of an ordinary user."""
    program = tmp_path / "lab7-test-tool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(tools, "SYSTEM_FOLDERS", (str(tmp_path),))
    monkeypatch.setenv("PATH", DEFAULT_PATH)
    return program.name


def test_a_tool_is_found_in_the_folders_of_administrators(administrator_program: str) -> None:
    assert tools.which(administrator_program) is not None
    tools.require(administrator_program)
    with pytest.raises(MachineError, match="the program no-such-tool is missing"):
        tools.require("no-such-tool")


def test_an_implementation_is_found_there(administrator_program: str) -> None:
    assert Implementation("own", "origin", administrator_program).installed()


def test_doctor_finds_tools_there(administrator_program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = packages.Program(packages.USEFUL, administrator_program, "a-package", "a purpose")
    monkeypatch.setattr(packages, "programs", lambda: (one,))
    (finding,) = examination._programs()
    assert finding.good


def test_a_folder_given_is_searched_last(tmp_path: Path) -> None:
    program = tmp_path / "lab7-test-tool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert tools.which(program.name, str(tmp_path)) == str(program)
    assert tools.which("sh", str(tmp_path)) != str(tmp_path / "sh")


def test_tc_is_found_with_the_default_path_of_an_ordinary_user() -> None:
    """In a process of its own, since the tests' own PATH has the folders already."""
    script = "from lab7.topologies.emulation import tools; tools.require(*tools.NEEDED); print(tools.which('tc'))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": DEFAULT_PATH},
        cwd=Path(__file__).resolve().parents[4],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.endswith("/tc\n")
