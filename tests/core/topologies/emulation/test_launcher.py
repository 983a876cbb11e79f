"""Commands of hosts are split into words; a module that does not exist is named."""

from __future__ import annotations

import pytest

from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.process.launcher import is_module, split_command


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("lab7.services.http.origin --port 80", ["lab7.services.http.origin", "--port", "80"]),
        ("lab7.services.http.origin --root 'my site'", ["lab7.services.http.origin", "--root", "my site"]),
        (["lab7.services.http.origin", "--root", "my site"], ["lab7.services.http.origin", "--root", "my site"]),
    ],
)
def test_a_command_is_split_as_a_shell_would(command: str | list[str], words: list[str]) -> None:
    assert split_command(command) == words


@pytest.mark.parametrize("command", ["", "   ", []])
def test_an_empty_command_is_refused(command: str | list[str]) -> None:
    with pytest.raises(EmulationError, match=r"^empty command in serves=$"):
        split_command(command)


@pytest.mark.parametrize(
    "name", ["lab7.services.http.orgin", "lab7.services.nothing.here", "lab7.topologies.", "experiments.none"]
)
def test_a_module_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(EmulationError, match=rf"^there is no module (lab7\.)?{name}: check the spelling"):
        split_command(f"{name} --port 80")


def test_the_short_form_of_a_module_becomes_its_full_name() -> None:
    assert split_command("services.http.origin --port 80") == ["lab7.services.http.origin", "--port", "80"]


@pytest.mark.parametrize(
    ("name", "known"),
    [("lab7.services.http.origin", True), ("lab7.services.http.no", False), ("os.path", False), ("nginx", False)],
)
def test_only_modules_of_the_rooms_are_modules_to_run(name: str, known: bool) -> None:
    assert is_module(name) is known
