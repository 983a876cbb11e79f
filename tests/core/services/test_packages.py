"""The command that installs an optional package: into the environment in which lab7 runs, whoever made it."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from lab7.services.packages import how_to_install

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("prefix", "command"),
    [
        ("/home/ann/.local/share/pipx/venvs/lab7", "pipx inject lab7 pyarrow"),
        ("/home/ann/.local/share/uv/tools/lab7", "uv pip install --python '/a b/python' pyarrow"),
        ("/home/ann/study/.venv", "'/a b/python' -m pip install pyarrow"),
    ],
)
def test_a_package_goes_where_lab7_is(prefix: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", prefix)
    monkeypatch.setattr(sys, "executable", "/a b/python")
    assert how_to_install("pyarrow") == command


def test_every_extra_that_a_text_names_exists() -> None:
    """A report named lab7[plots], which there is not."""
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    files = [*REPOSITORY.glob("docs/*.md"), REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]
    for folder in ("experiments", "services", "topologies"):
        files += [one for one in (REPOSITORY / folder).rglob("*") if one.suffix in (".py", ".j2", ".toml", ".md")]
    named = {extra for one in files for extra in re.findall(r"lab7\[(\w+)\]", one.read_text(encoding="utf-8"))}
    assert named
    assert named <= set(declared)


def test_no_message_of_the_source_names_a_pip_of_another_environment() -> None:
    for folder in ("experiments", "services", "topologies"):
        for one in (REPOSITORY / folder).rglob("*.py"):
            text = one.read_text(encoding="utf-8")
            assert not re.search(r"[:`] ?pip install|with pip install", text), one
