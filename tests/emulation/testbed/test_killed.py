"""When lab7 dies in the middle of a run, whichever of its processes it is, the kernel removes everything."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.emulation.processes import Process, descendants, namespaces
from tests.emulation.support import PATIENCE_S, REPOSITORY, eventually, start_lab7

# Killing is the kernel's work and takes milliseconds; what ends by itself a while later would not be removed by it.
GONE_WITHIN_S = 1.0
TEMPORARY = ("tmp", "run", "dev/shm")

# A mount namespace with temporary folders of its own, in which every file that appears is lab7's.
PRIVATE_FOLDERS = """
cd "$1"
for folder in /tmp /run /dev/shm; do mount -t tmpfs none $folder || exit 1; done
case $1 in /tmp/*) mkdir -p "$1" && mount --no-canonicalize --bind . "$1" || exit 1;; esac
mkdir /tmp/lab /tmp/home
echo ready
exec cat
"""


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[bytes]]:
    """A process that keeps private temporary folders; their files are below /proc/PID/root."""
    if Path(sys.prefix).is_relative_to("/tmp") and not Path(sys.prefix).is_relative_to(REPOSITORY):
        pytest.skip("the virtual environment is in /tmp and not in the repository")
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", PRIVATE_FOLDERS, "sh", str(REPOSITORY)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.stdin.close()


def listing(holder: subprocess.Popen[bytes]) -> dict[str, object]:
    """All that a run could leave behind: files, mounts, interfaces."""
    root = Path(f"/proc/{holder.pid}/root")
    listed: dict[str, object] = {name: sorted(os.listdir(root / name)) for name in TEMPORARY}
    listed["mounts"] = Path(f"/proc/{holder.pid}/mountinfo").read_text()
    listed["interfaces"] = socket.if_nameindex()
    return listed


@pytest.fixture
def before(holder: subprocess.Popen[bytes]) -> dict[str, object]:
    """What was there before lab7 was started: ask for it ahead of `running`."""
    return listing(holder)


@pytest.fixture
def running(holder: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """lab7 in the middle of a run, its packets being captured; results are in /tmp/lab."""
    entering = ("nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "--wdns=/tmp/lab", "--")
    # scapy makes folders for its settings in the home directory of whoever imports it.
    home = {"HOME": "/tmp/home"}
    process = start_lab7("run", "http-versions", "--repeat", "500", cwd=REPOSITORY, entering=entering, changes=home)
    try:
        results = Path(f"/proc/{holder.pid}/root/tmp/lab/results/http-versions")
        assert eventually(lambda: bool(list(results.glob("*/*.raw"))) or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


def outer(process: subprocess.Popen[bytes]) -> int:
    return process.pid


def inner(process: subprocess.Popen[bytes]) -> int:
    """The lab7 in the sandbox: the child of the process that is number 1 there."""
    family = descendants(process.pid)
    (init,) = (one for one in family if one.parent == process.pid)
    (found,) = (
        one for one in family if one.parent == init.pid and one.words[-4:-1] == ["http-versions", "--repeat", "500"]
    )
    return found.pid


@pytest.mark.parametrize("victim", [outer, inner])
def test_nothing_is_left_of_a_killed_run(
    before: dict[str, object],
    holder: subprocess.Popen[bytes],
    running: subprocess.Popen[bytes],
    victim: Callable[[subprocess.Popen[bytes]], int],
) -> None:
    family = descendants(running.pid)
    made = set().union(*(namespaces(one.pid) for one in family)) - namespaces(os.getpid()) - namespaces(holder.pid)
    assert len(family) > 5
    assert made

    # Of processes that are there already: the kernel gives the number of a namespace that is gone to the next one made.
    present = list(Process.all())
    os.kill(victim(running), signal.SIGKILL)

    assert eventually(lambda: not any(one.lives for one in family), GONE_WITHIN_S), [
        one.words for one in family if one.lives
    ]
    running.wait(PATIENCE_S)
    assert eventually(lambda: not any(one.lives and namespaces(one.pid) & made for one in present), GONE_WITHIN_S)
    assert listing(holder) == before


def test_a_killed_run_is_no_result(holder: subprocess.Popen[bytes], running: subprocess.Popen[bytes]) -> None:
    running.kill()
    running.wait(PATIENCE_S)
    lab = Path(f"/proc/{holder.pid}/root/tmp/lab")
    assert os.listdir(lab) == ["results"]
    assert not list(lab.rglob("result.json"))
    assert not list(lab.rglob("*.pcapng"))
