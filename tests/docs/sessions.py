"""Type a guide's commands: those of one network into one `lab7 shell`, those of a terminal into bash.

What a person does slowly is waited for: a capture has begun before the next command, and has read all that there is
before it is stopped.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from lab7.topologies.emulation.control import registry
from tests.docs.reading import REPOSITORY, Command

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")
PROMPT = "lab7> "
# Not a measure of anything: what hangs is given up after this long.
PATIENCE_S = 120.0
# proc(5), /proc/net/packet: a line for each packet socket, behind a heading.
LISTENS = "until [ $(wc -l < /proc/net/packet) -gt 1 ]; do sleep 0.02; done"
# A program that sleeps has looked at everything that came.
HAS_READ = "until grep -q ') S' /proc/$(jobs -p %1)/stat; do sleep 0.02; done"


def checkout(folder: Path) -> Path:
    """A folder that looks like the top of a checkout, whose results are its own."""
    for entry in REPOSITORY.iterdir():
        if entry.name not in (".git", "results"):
            (folder / entry.name).symlink_to(entry)
    return folder


class Session:
    """One `lab7 shell` in which commands of the guides are typed; start several, then ask each what it said."""

    def __init__(self, lab7: Path, network: str, commands: Sequence[Command], cwd: Path, env: dict[str, str]) -> None:
        self._typed = [one for one in commands if one.text != "exit"]
        self._output: IO[str] = open(cwd / f"session-{id(self)}", "w+", encoding="utf-8")  # noqa: SIM115
        self._process = subprocess.Popen(
            [str(lab7), "shell", *network.split()],
            cwd=cwd,
            # Other commands of the guides start networks of their own, even where one of this name is open here.
            env={**env, "HOME": str(cwd), registry.VARIABLE: str(cwd / "runtime")},
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write("".join(line + "\n" for line in ["sh echo @@0 0", *self._lines(), "exit"]))
        self._process.stdin.close()
        self._said: list[tuple[str, int]] | None = None

    def _lines(self) -> list[str]:
        lines = []
        for number, command in enumerate(self._typed, start=1):
            host, _, rest = command.text.partition(" ")
            if rest.startswith("kill "):
                lines.append(f"{host} {HAS_READ}")
            if not rest or host in ("sh", "links", "net", "nodes", "help", "link"):
                lines += [command.text, f"sh echo @@{number} 0"]
            elif rest.endswith("&"):
                lines.append(f"{host} {rest} echo @@{number} 0")
                lines.append(f"{host} {LISTENS}" if "tcpdump" in rest else "")
            else:
                lines.append(f"{host} {rest} ; echo @@{number} $?")
        return [line for line in lines if line]

    def said(self, command: Command | None = None) -> tuple[str, int]:
        """What a command said and its exit code; None: what `lab7 shell` itself said before the first."""
        if self._said is None:
            self._process.wait(PATIENCE_S)
            self._output.seek(0)
            text = ESCAPES.sub("", self._output.read()).replace(PROMPT, "")
            parts = re.split(r"@@(\d+) (\d+)\n?", text)
            self._said = [(said, int(code)) for said, code in zip(parts[::3], parts[2::3], strict=False)]
            if len(self._said) != len(self._typed) + 1:
                raise AssertionError(f"the session ended early:\n{text[-2000:]}")
        return self._said[0 if command is None else self._typed.index(command) + 1]

    def end(self) -> None:
        """Stop it, if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
        self._output.close()


def run_in_terminal(command: Command, cwd: Path, env: dict[str, str], timeout_s: float) -> tuple[str, int]:
    """What a command of a terminal said, on both of its outputs, and its exit code."""
    done = subprocess.run(
        ["bash", "-c", command.text],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return ESCAPES.sub("", done.stdout), done.returncode
