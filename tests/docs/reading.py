"""The guides as data: the commands in their fenced blocks, what is shown below each, and how blocks are marked.

A block of commands opens with  ```console  and may carry marks behind the word:

    elsewhere="why"     cannot run in a test (a virtual machine, a window, another system)
    slow                takes more than seconds: run by `make test-slow`
    up="NAME"           is typed while `lab7 up NAME` runs in another terminal
    needs="PROGRAM ..." types these programs, which set-up does not install
    topology=NAME       needs a topology that a checkout may not have yet
    file=PATH           (of python) is an excerpt of that file; a line `...` stands for what is left out

A block without a language is read for its commands alone. Lines that begin with `$ ` are typed in a terminal at the
top of a checkout, lines that begin with `lab7> ` in the network of the last `$ lab7 shell ...` above them; all others
are the output of the command before.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
GUIDES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
CONSOLE = "console"
TERMINAL, SHELL = "$ ", "lab7> "
VENV = ".venv/bin/"
FENCE = re.compile(r"^(\s*)```(.*)$")
# A measured figure; not a part of an address, of a version (HTTP/1.1) or of a name (1.0-serial).
FIGURE = re.compile(r"(?<![\d./v])\d[\d,]*\\\.\d+(?![\d.-]|\\[.-])")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it is, its language, its marks, its lines."""

    file: Path
    line: int
    language: str
    marks: dict[str, str]
    lines: tuple[str, ...]


@dataclass
class Command:
    """One command of a guide. `network`: the words after `lab7 shell` of the network it is for; else None."""

    block: Block
    line: int
    text: str
    network: str | None = None
    output: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        return f"{short(self.block.file)}:{self.line}"

    def __str__(self) -> str:
        return f"{self.where} {self.text[:60]}"

    @property
    def words(self) -> list[str]:
        """Its words, without variables set before it and what a shell does with its output."""
        words = shlex.split(self.text)
        while re.match(r"[A-Z_0-9]+=", words[0]):
            words = words[1:]
        return words[: next((place for place, word in enumerate(words) if word in (">", "|")), None)]


def short(file: Path) -> str:
    """A guide's name as a person would say it."""
    return str(file.relative_to(REPOSITORY)) if file.is_relative_to(REPOSITORY) else file.name


def blocks(file: Path) -> Iterator[Block]:
    """The fenced blocks of a guide."""
    opened: tuple[int, str, dict[str, str], str] | None = None
    lines: list[str] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        fence = FENCE.match(line)
        if fence is None:
            lines.append(line.removeprefix(opened[3]) if opened else line)
        elif opened is None:
            language, *marks = shlex.split(fence[2]) or [""]
            opened, lines = (number, language, _marks(marks), fence[1]), []
        else:
            yield Block(file, opened[0], opened[1], opened[2], tuple(lines))
            opened = None
    assert opened is None, f"{file.name}: the block at line {opened} is not closed"


def _marks(words: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def commands(file: Path) -> list[Command]:
    """Every command of a guide, in its order."""
    found: list[Command] = []
    network: str | None = None
    for block in blocks(file):
        here = len(found)
        for number, line in enumerate(block.lines, start=block.line + 1):
            prompt, text = _prompted(block, line)
            if prompt:
                found.append(Command(block, number, text, network if prompt == SHELL else None))
                if text.startswith("lab7 shell "):
                    network = text.removeprefix("lab7 shell ")
            elif block.language == CONSOLE:
                assert len(found) > here, f"{file.name}:{number}: output before any command"
                found[-1].output.append(line)
    return found


def _prompted(block: Block, line: str) -> tuple[str, str]:
    """The prompt and the command of a line, if it is one. Blocks without a language are read for commands alone."""
    if block.language not in (CONSOLE, ""):
        return "", ""
    for prompt in (TERMINAL, SHELL):
        if line.startswith(prompt):
            return prompt, line.removeprefix(prompt).removeprefix(VENV)
    if block.language == "" and line.split()[:1] in (["make"], ["lab7"]):
        return TERMINAL, line.partition("#")[0].strip()
    return "", ""


def every_command() -> list[Command]:
    return [command for file in GUIDES for command in commands(file)]


def pattern(output: list[str]) -> re.Pattern[str]:
    """What is shown below a command, as a pattern: `...` is any text, alone on its line any lines.

    A figure with a decimal point is any such figure, and spaces are any number of spaces: both differ between runs.
    """
    made = []
    for line in output:
        if line.strip() == "...":
            made.append(r"(?:.*\n)*?")
            continue
        pieces = [FIGURE.sub(r"\\d[\\d,]*\\.\\d+", re.escape(piece)) for piece in line.strip().split("...")]
        text = re.sub(r"(?:\\ |\\\t|\s)+", r"\\s+", ".*?".join(pieces))
        made.append(rf"\s*{text}[ \t]*\n")
    return re.compile("".join(made))


def agrees(output: list[str], said: str) -> bool:
    """Whether a command said what the guide shows below it; a guide may show nothing."""
    return not output or pattern(output).fullmatch(said.rstrip("\n") + "\n" if said.strip() else "") is not None
