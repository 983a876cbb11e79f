"""Small networks, the command `lab7` as a person calls it, and waits that end."""

from __future__ import annotations

import atexit
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mininet.topo import Topo

from lab7.experiments.harness.capture.capture import CaptureInterface
from lab7.topologies.emulation import sandbox, tools
from lab7.topologies.emulation.control import registry
from lab7.topologies.emulation.process.launcher import readable
from lab7.topologies.emulation.testbed import Testbed

REPOSITORY = Path(__file__).resolve().parents[2]
LAB7 = Path(sys.executable).with_name("lab7")
# Not a measure of anything: what hangs is given up after this long, also on a busy machine.
PATIENCE_S = 60.0
POLL_S = 0.01

CLIENT, SERVER = "10.9.0.1", "10.9.0.2"


class PairTopo(Topo):  # type: ignore[misc]
    """client ── s1 ── server, with the first link shaped and the second one as fast as the machine."""

    def build(self, serves: str | list[str] = "", **link: Any) -> None:
        """serves: what the server serves; link: TCLink's parameters of the client's link."""
        switch = self.addSwitch("s1")
        self.addLink(self.addHost("client", ip=f"{CLIENT}/24"), switch, **link)
        server = self.addHost("server", ip=f"{SERVER}/24", names=["www.example.com"], serves=serves)
        self.addLink(server, switch)


def pair(serves: str | list[str] = "", *, seed: int = 0, **link: Any) -> Testbed:
    return Testbed(PairTopo(serves=serves, **link), seed=seed, links="wire")


def both_ends(bed: Testbed) -> list[CaptureInterface]:
    return [
        CaptureInterface(host.name, host.namespace_pid, f"{host.name}-eth0")
        for host in map(bed.host, ("client", "server"))
    ]


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without the mark of its sandbox: what is started makes a sandbox of its own.

    Each experiment runs once: a test that needs a rerun says so. SHELL is there, because stock Mininet's
    popen(shell=True) raises KeyError where no login has set it (a build server, a cron job). The networks
    that are up are those of this test run.
    """
    inherited = {name: value for name, value in os.environ.items() if name != sandbox.MARK}
    own = {"LAB7_AGAIN": "0", registry.VARIABLE: runtime_folder()}
    return {"SHELL": "/bin/sh"} | inherited | own | dict(changes or {})


@cache
def runtime_folder() -> str:
    """The folder for control sockets of the networks of this test run, which no other run and no user sees."""
    folder = tempfile.mkdtemp(prefix="lab7-test-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def lab7(
    *words: str,
    cwd: Path,
    stdin: str = "",
    changes: Mapping[str, str] | None = None,
    entering: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """Run `lab7 WORDS` to its end, by way of `entering` where that is given."""
    return subprocess.run(
        [*entering, str(LAB7), *words],
        cwd=cwd,
        input=stdin,
        env=environment(changes),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )


def lab7_with_programs(
    *words: str, cwd: Path, programs: Iterable[str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run `lab7 WORDS` on a machine that has no programs but these."""
    with tempfile.TemporaryDirectory() as folder:
        for name in programs:
            shutil.copy(str(shutil.which(name)), folder)
        # lab7 looks in these as well, whatever PATH says.
        hiding = "; ".join(f"{shutil.which('mount')} -t tmpfs none {each}" for each in tools.SYSTEM_FOLDERS)
        entering = (
            str(shutil.which("unshare")),
            "--mount",
            str(shutil.which("sh")),
            "-c",
            f'{hiding}; exec "$@"',
            "sh",
        )
        return lab7(*words, cwd=cwd, stdin=stdin, changes={"PATH": folder, "HOME": str(cwd)}, entering=entering)


def start_lab7(
    *words: str, cwd: Path, entering: tuple[str, ...] = (), changes: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start `lab7 WORDS`, by way of `entering` where that is given; the process is that of lab7 all the same."""
    return subprocess.Popen(
        [*entering, str(LAB7), *words],
        cwd=cwd,
        env=environment(changes),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def read_until(process: subprocess.Popen[bytes], text: bytes) -> bytes:
    """What a process writes up to `text`; an AssertionError shows what came instead."""
    assert process.stdout is not None
    found, deadline_s = b"", time.monotonic() + PATIENCE_S
    while text not in found:
        left_s = max(0.0, deadline_s - time.monotonic())
        ready = readable(process.stdout, left_s)
        piece = os.read(process.stdout.fileno(), 65536) if ready else b""
        assert piece, f"{text!r} did not come, but {found!r}"
        found += piece
    return found


def eventually(holds: Callable[[], bool], within_s: float = PATIENCE_S) -> bool:
    """Whether something comes to hold in time."""
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        # Nothing tells us: this is a poll, and the pause leaves the processor to what is waited for.
        select.select([], [], [], POLL_S)
    return True


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What a command that was refused says: its one sentence, without click's two lines on how to call it."""
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith(("Usage: ", "Try "))]
    assert len(lines) == 1, done.stderr
    return lines[0]
