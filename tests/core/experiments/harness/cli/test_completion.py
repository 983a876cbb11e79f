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

import click
import pytest
from click.shell_completion import BashComplete

from lab7.experiments.harness.cli import COMMANDS, lab7
from lab7.experiments.harness.cli.interface.completion import VARIABLE, script
from lab7.topologies.emulation.control import client, registry

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
    "lab7 assignment build http-b": {"http-basics"},
    "lab7 export kathara we": {"web"},
    "lab7 link s": {"set"},
    "lab7 sweep --engine d": {"dask"},
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
    for path, parameter in specific:
        name, _, inner = path.partition(" ")
        assert name in COMMANDS
        command = load_command(name)
        if inner:
            assert isinstance(command, click.Group)
            command = command.commands[inner]
        assert parameter in {one.name for one in command.params}


def completed(line: str) -> list[str]:
    """Return the completions of the last word of a line, computed in this process."""
    *words, incomplete = line.split(" ")[1:]
    return [item.value for item in BashComplete(lab7, {}, "lab7", VARIABLE).get_completions(words, incomplete)]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("lab7 assignment build http-", ["http-basics"]),
        ("lab7 assignment grade in --assignment http-b", ["http-basics"]),
        ("lab7 export kath", ["kathara"]),
        ("lab7 export kathara we", ["web"]),
        ("lab7 export http-versions/latest ju", ["junit"]),
        ("lab7 diff http", ["http-versions/latest"]),
        ("lab7 judge http", ["http-versions/latest"]),
        ("lab7 ladder http", ["http-versions/latest"]),
        ("lab7 ladder x --protocol sm", ["smtp"]),
        ("lab7 list inter", ["internet"]),
        ("lab7 draw web --set de", ["delay="]),
        ("lab7 link set lab h", ["h1-s1"]),
        ("lab7 link set lab h1-s1 de", ["delay="]),
        ("lab7 link d", ["down"]),
        ("lab7 help ru", ["run"]),
        ("lab7 capture ", ["lab"]),
        ("lab7 capture lab ", ["h1", "h2"]),
        ("lab7 service kill lab h2", ["h2"]),
        ("lab7 open lab --from h", ["h1", "h2"]),
        ("lab7 events l", ["lab"]),
        ("lab7 down l", ["lab"]),
        ("lab7 sweep x --engine d", ["dask"]),
    ],
)
def test_every_command_completes_its_values(
    line: str,
    values: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "results" / "http-versions" / "20300102T030405Z-9f01ab"
    run.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "bash_complete")
    described = {"hosts": [{"name": "h1"}, {"name": "h2"}], "links": [{"nodes": ["h1", "s1"]}, {"nodes": ["s1", "h2"]}]}
    monkeypatch.setattr(registry, "names", lambda: ["lab"])
    monkeypatch.setattr(client, "ask", lambda *_: described)
    found = completed(line)
    assert capsys.readouterr().out == ""
    assert found[: len(values)] == values
    assert all(one in values or one.startswith(("results/", "http-")) for one in found)
