"""Completion in real shells: commands, options and values, as Tab gives them."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab7.experiments.harness.cli import COMMANDS, lab7
from lab7.experiments.harness.cli.interface.completion import script

FOLDER = Path(sys.executable).parent
PATIENCE_S = 60.0
BASH = r"""
{script}
COMP_LINE={line!r}
COMP_POINT=${{#COMP_LINE}}
compopt() {{ printf 'compopt %s %s\n' "$@"; }}
_lab7_completion lab7
printf '%s\n' "${{COMPREPLY[@]}}"
"""
LINES = {
    "lab7 cla": {"claims"},
    "lab7 run http-v": {"http-versions"},
    "lab7 run http-versions --set ob": {"objects="},
    "lab7 run --replace origin=ngi": {"origin=nginx"},
    "lab7 exec web ori": {"origin"},
    "lab7 up inter": {"internet"},
    "lab7 matrix f": {"ftp"},
    "lab7 run --time v": {"virtual"},
    "lab7 run --stri": {"--strict"},
}


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"PATH": f"{FOLDER}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb"}


def bash(line: str, folder: Path) -> set[str]:
    text = BASH.format(script=script("bash", lab7), line=line)
    words = ["bash", "--norc", "-c", text]
    done = subprocess.run(words, env=environment(folder), cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    found = {one for one in done.stdout.splitlines() if not one.startswith("compopt")}
    if any(one.endswith("=") for one in found):
        assert "compopt -o nospace" in done.stdout
    # Bash replaces the part of the word after `=`.
    before = line.split()[-1].rpartition("=")
    return {f"{before[0]}{before[1]}{one}" if before[1] else one for one in found}


def fish(line: str, folder: Path) -> set[str]:
    text = f"{script('fish', lab7)}\ncomplete -C {line!r}"
    words = ["fish", "--no-config", "-c", text]
    done = subprocess.run(words, env=environment(folder), cwd=folder, capture_output=True, text=True, check=True)
    return {one.partition("\t")[0] for one in done.stdout.splitlines()}


ZSH = """
PS1='ready> '
autoload -U compinit; compinit -u
{script}
report() {{ print -r -- "$BUFFER" > "$HOME/buffer.part" && mv "$HOME/buffer.part" "$HOME/buffer" }}
zle -N report
bindkey '^I' expand-or-complete
bindkey '^X' report
"""


def zsh(line: str, folder: Path) -> set[str]:
    """Type the line and Tab at a terminal, then a key that writes what has become of the line to a file."""
    (folder / ".zshrc").write_text(ZSH.format(script=script("zsh", lab7)))
    near, far = pty.openpty()
    process = subprocess.Popen(["zsh", "-i"], env=environment(folder), cwd=folder, stdin=far, stdout=far, stderr=far)
    os.close(far)
    try:
        read_until(near, lambda text: "ready> " in text)
        os.write(near, line.encode() + b"\t\x18")
        read_until(near, lambda _text: (folder / "buffer").exists())
        return {(folder / "buffer").read_text().split()[-1]}
    finally:
        process.kill()
        process.wait()
        os.close(near)


def read_until(descriptor: int, holds: Callable[[str], bool]) -> None:
    """Read what the shell writes to its terminal until a condition holds."""
    text, deadline_s = "", time.monotonic() + PATIENCE_S
    while not holds(text):
        assert time.monotonic() < deadline_s, text
        if select.select([descriptor], [], [], 0.1)[0]:
            text += os.read(descriptor, 65536).decode(errors="replace")


SHELLS: dict[str, Callable[[str, Path], set[str]]] = {"bash": bash, "fish": fish, "zsh": zsh}


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        # Each shell has one line in every run of the tests; the values are the same in all shells.
        pytest.param(shell, line, marks=[] if place == 2 else [pytest.mark.slow])
        for shell in SHELLS
        for place, line in enumerate(LINES)
    ],
)
def test_tab_completes_commands_options_and_values(shell: str, line: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert SHELLS[shell](line, tmp_path) == LINES[line]


def test_every_parameter_that_names_something_has_values() -> None:
    from lab7.experiments.harness.cli import load_command
    from lab7.experiments.harness.cli.interface.completion import COMPLETERS

    specific = {key for key in COMPLETERS if isinstance(key, tuple)}
    for command, parameter in specific:
        assert command in COMMANDS
        assert parameter in {one.name for one in load_command(command).params}
