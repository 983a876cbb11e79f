"""What the guides tell people to type exists: commands, flags, names, hosts, files. Nothing is run here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from lab7.experiments.harness.cli import COMMANDS, load_command
from lab7.experiments.harness.cli.networks import make_topology
from lab7.experiments.harness.discovery import (
    all_experiments,
    all_topologies,
    find_experiments,
    find_matrix,
    find_topology,
)
from lab7.experiments.harness.implementations.registry import parse_replacement
from lab7.experiments.sweep.run_table import settings_of
from lab7.topologies.emulation.errors import EmulationError
from tests.docs.reading import GUIDES, REPOSITORY, Block, Command, blocks, every_command, short

LANGUAGES = {"console", "python", "json", "toml", "yaml", "text", "html", "xml", ""}
MARKS = {"elsewhere", "slow", "topology", "file", "up", "needs"}
# What a guide's commands outside of tests may be, and why they are.
ELSEWHERE = {
    "vagrant",
    "cd",
    "docker",
    "podman",
    "dask",
    "wsl",
    "wireshark",
    "make",
    "source",
    "sudo",
    "lab7",
    "python3",
    "(umask",
    "ls",
    "xdg-open",
}
VAGRANT = {"up", "ssh", "halt", "reload", "destroy", "provision", "status", "validate", "plugin"}
# Commands of Mininet's own at the prompt `lab7>`.
MININET = {"nodes", "net", "links", "dump", "help", "exit", "pingall", "intfs", "ports", "sh", "source", "link"}
TRIED = [one for one in every_command() if "elsewhere" not in one.block.marks]
UNTRIED = [one for one in every_command() if "elsewhere" in one.block.marks]


def named(some: list[Command]) -> list[str]:
    return [f"{one.where} {one.text[:60]}" for one in some]


def network_arguments(words: list[str]) -> tuple[str, dict[str, str]]:
    """The topology and the parameters of `lab7 shell WORDS`."""
    context = load_command("shell").make_context("shell", list(words))
    return context.params["topology"], context.params["given"]


def require(topology: str, block_marks: dict[str, str]) -> None:
    if block_marks.get("topology") == topology and topology not in all_topologies():
        pytest.skip(f"this checkout has no topology {topology} yet")


@pytest.fixture(autouse=True)
def _at_the_top_of_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)


def test_there_are_guides_and_they_have_commands() -> None:
    assert {"README.md", "students.md", "teachers.md", "extending.md", "platforms.md", "clocks.md"} <= {
        one.name for one in GUIDES
    }
    assert len(TRIED) > 60


@pytest.mark.parametrize("file", GUIDES, ids=short)
def test_blocks_have_known_languages_and_marks(file: Path) -> None:
    for block in blocks(file):
        assert block.language in LANGUAGES, f"{file.name}:{block.line}"
        assert set(block.marks) <= MARKS, f"{file.name}:{block.line}"
        assert block.marks.get("elsewhere", "why"), f"{file.name}:{block.line} does not say why it cannot be run"


def check_run(context: click.Context) -> None:
    chosen = find_experiments(context.params["names"])
    given = context.params["given"]
    for name, text in given.items():
        having = [one for one in chosen if name in one.parameters]
        assert having, f"no experiment has the parameter {name}"
        for one in having:
            for settings in settings_of(one, {name: text}):
                one.read_parameters(settings)
    roles = tuple(role for one in chosen for role in one.roles)
    for text in context.params["replace"]:
        parse_replacement(text, roles)


def check_network(context: click.Context) -> None:
    topo = make_topology(find_topology(context.params["topology"]), context.params["given"])
    if "host" in context.params:
        assert context.params["host"] in topo.hosts()


CHECKS: dict[str, Callable[[click.Context], object]] = {
    "run": check_run,
    "up": check_network,
    "shell": check_network,
    "exec": check_network,
    "matrix": lambda context: find_matrix(context.params["name"]),
}


def check_lab7(one: Command) -> None:
    """Raise if a command of lab7, a flag, or a name in it does not exist."""
    name, *words = one.words[1:]
    if name in ("--help", "--version", "-h"):
        return
    assert name in COMMANDS, one.where
    command = load_command(name)
    if isinstance(command, click.Group):
        name, *words = words
        assert name in command.commands, one.where
        command = command.commands[name]
    try:
        context = command.make_context(name, words)
    except click.exceptions.Exit:
        # --help
        return
    except click.BadParameter as error:
        # The files of a block that is not run here, or that the commands before it make, need not exist.
        is_missing = "does not exist" in error.message or error.message.startswith("there is no file ")
        if is_missing and {"elsewhere", "slow"} & set(one.block.marks):
            return
        raise
    # Not the name in a group: `lab7 link up` is no `lab7 up`.
    whole = one.words[1]
    if whole in ("up", "shell", "exec"):
        require(context.params["topology"], one.block.marks)
    if whole in CHECKS:
        CHECKS[whole](context)


@pytest.mark.parametrize("one", [one for one in every_command() if one.text.startswith("lab7 ")], ids=str)
def test_a_command_of_lab7_and_its_flags_and_names_exist(one: Command) -> None:
    check_lab7(one)


@pytest.mark.parametrize(
    "text",
    [
        "lab7 fly",
        "lab7 list --colour",
        "lab7 run htp-versions",
        "lab7 run http-versions --colour",
        "lab7 run http-versions --set rrt=1ms",
        "lab7 run http-versions --set rtt=soon",
        "lab7 run http-versions --replace proxy=squid",
        "lab7 run http-versions --replace origin=ngnix",
        "lab7 run docs/examples/time/time_experimant.py",
        "lab7 shell wbe",
        "lab7 shell web --set cash=forward",
        "lab7 shell web --set cache=sideways",
        "lab7 exec web nobody -- true",
        "lab7 matrix htpt",
        "lab7 assignment bild",
        "lab7 assignment new my-first --colour",
    ],
)
def test_a_command_that_does_not_exist_is_found(text: str) -> None:
    one = Command(Block(REPOSITORY / "docs/x.md", 1, "console", {}, ()), 1, text)
    with pytest.raises((AssertionError, click.ClickException, ValueError, EmulationError, TypeError)):
        check_lab7(one)


@pytest.mark.parametrize("one", [one for one in every_command() if one.network is not None], ids=str)
def test_a_line_at_the_prompt_begins_with_a_host_or_a_command_of_mininet(one: Command) -> None:
    assert one.network is not None
    topology, given = network_arguments(one.network.split())
    require(topology, one.block.marks)
    topo = make_topology(find_topology(topology), given)
    assert one.text.split()[0] in {*topo.hosts(), *MININET}, one.where


@pytest.mark.parametrize("one", [one for one in every_command() if one.text.startswith("make ")], ids=str)
def test_a_target_of_make_exists(one: Command) -> None:
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    wanted = [word for word in one.text.split("#")[0].split()[1:] if "=" not in word]
    assert wanted
    assert set(wanted) <= set(targets), one.where


@pytest.mark.parametrize("one", UNTRIED, ids=str)
def test_what_cannot_be_run_here_is_counted(one: Command) -> None:
    """Every such command is listed as skipped, with the reason that the guide's source gives."""
    program = one.words[0]
    assert program in ELSEWHERE, one.where
    if program == "vagrant":
        assert one.words[1] in VAGRANT, one.where
        if not (REPOSITORY / "Vagrantfile").exists():
            pytest.skip("this checkout has no Vagrantfile yet")
    pytest.skip(f"{one.block.marks['elsewhere']}: {one.text[:80]}")


@pytest.mark.parametrize("file", GUIDES, ids=short)
def test_code_that_a_guide_shows_of_a_file_is_in_that_file(file: Path) -> None:
    for block in blocks(file):
        if block.language == "python" and "file" in block.marks:
            text = (file.parent / block.marks["file"]).read_text(encoding="utf-8")
            for piece in "\n".join(block.lines).split("\n...\n"):
                assert piece.strip("\n") in text, f"{file.name}:{block.line} is not in {block.marks['file']}:\n{piece}"


def test_the_plan_by_weeks_names_experiments_that_exist() -> None:
    rows = re.findall(r"^\| \d+ \| [^|]+\| ([^|]*) \|", (REPOSITORY / "docs/teachers.md").read_text(), re.MULTILINE)
    planned = {name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row)}
    assert len(planned) > 10
    there, mail = set(all_experiments()), {"mail-story", "smtp-replies", "mail-outage", "mail-access"}
    # Until all of them are there, none of these is missed.
    assert planned - there <= (set() if mail <= there else mail)


@pytest.mark.parametrize("file", GUIDES, ids=short)
def test_a_link_leads_to_a_file(file: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", file.read_text(encoding="utf-8")):
        assert "://" in target or (file.parent / target).exists(), f"{file.name}: {target}"


def test_pictures_are_small() -> None:
    for picture in (REPOSITORY / "docs").glob("*.png"):
        assert picture.stat().st_size < 150_000, picture.name
