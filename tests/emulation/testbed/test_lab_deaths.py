"""A process of a lab dies: the run ends with one sentence that names it, and never with a verdict.

Each kind of process of three experiments is killed (SIGKILL) while the packets are captured, and some of them before.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from scapy.utils import PcapNgReader

from tests.emulation.processes import Process, descendants, namespaces
from tests.emulation.support import (
    LAB7,
    PATIENCE_S,
    REPOSITORY,
    environment,
    eventually,
    lab7,
    one_sentence,
    read_until,
    start_lab7,
)

CANNOT, USUAL_TERM = 3, 128 + signal.SIGTERM
# No measure of a death, which takes a fraction of a second: what hangs is found by it, also on a busy machine.
ENDS_WITHIN_S = 30.0
WEB = ("http-versions", "--repeat", "500", "--set", "rtt=20ms")
DNS = ("dns-resolution", "--repeat", "500")
MAIL = ("smtp-replies",)


@dataclass(frozen=True)
class Run:
    """A running `lab7 run` and what it writes to."""

    process: subprocess.Popen[bytes]
    results: Path

    @property
    def family(self) -> list[Process]:
        return descendants(self.process.pid)

    def find(self, kind: str, number: int = 0) -> Process | None:
        """One of its processes: init, inner, forkserver, capture, or by the name of the module that it runs."""
        family = sorted(self.family, key=lambda one: one.pid)
        init = [one for one in family if one.parent == self.process.pid]
        inner = [one for one in family if one.parent in {each.pid for each in init} and "run" in one.words]
        inside = [one for one in family if one.parent in {each.pid for each in inner}]
        server = [one for one in inside if "topologies.emulation.process.forkserver" in one.words]
        children = [one for one in family if one.parent in {each.pid for each in server}]
        found = {
            "init": init,
            "inner": inner,
            "forkserver": server,
            "capture": [one for one in inside if "experiments.harness.capture.recorder" in one.words],
        }.get(kind, [one for one in children if one.name == kind[:15]])
        return found[number] if len(found) > number else None

    def captures(self) -> bool:
        """Whether packets are being captured, and some are in the file."""
        return any(path.stat().st_size > 1000 for path in self.results.glob("*/*/*.raw"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    started: list[Run] = []

    def begin(*words: str) -> Run:
        started.append(Run(start_lab7("run", *words, cwd=tmp_path), tmp_path / "results"))
        return started[-1]

    yield begin
    for run in started:
        run.process.kill()
        run.process.communicate(timeout=PATIENCE_S)


def kill(run: Run, kind: str, number: int = 0) -> str:
    """Kill one process, check that nothing is left, and return the one sentence that lab7 says."""
    assert eventually(lambda: run.find(kind, number) is not None or run.process.poll() is not None)
    victim = run.find(kind, number)
    assert victim is not None, run.process.communicate()
    family = run.family
    made = set().union(*(namespaces(one.pid) for one in family)) - namespaces(os.getpid())
    began_s = time.monotonic()
    os.kill(victim.pid, signal.SIGKILL)
    output, errors = run.process.communicate(timeout=ENDS_WITHIN_S)
    print(f"{kind}: ended after {time.monotonic() - began_s:.2f} s")
    assert run.process.returncode == CANNOT, (output, errors)
    assert output == b""
    assert eventually(lambda: not any(one.lives for one in family)), [one.words for one in family if one.lives]
    assert eventually(lambda: not any(namespaces(one.pid) & made for one in Process.all()))
    done = subprocess.CompletedProcess(run.process.args, CANNOT, "", errors.decode())
    sentence = one_sentence(done)
    assert sentence.startswith("lab7: ")
    return sentence.removeprefix("lab7: ")


def assert_kept(run: Run, sentence: str) -> None:
    """What was captured is a capture, the folder is marked, and the sentence names it."""
    said, _, place = sentence.partition("; packets captured until then are in ")
    folder = REPOSITORY / run.results.parent / place
    captures = [path for path in folder.iterdir() if path.suffix == ".pcapng"]
    assert captures
    for path in captures:
        with PcapNgReader(str(path)) as reader:
            assert list(reader)
    assert "run" in (folder / "incomplete").read_text()
    assert said
    assert sorted(path.name for path in folder.iterdir()) == sorted([*(path.name for path in captures), "incomplete"])


def died_while_capturing(run: Run, kind: str, says: str, number: int = 0) -> None:
    assert eventually(lambda: run.captures() or run.process.poll() is not None)
    sentence = kill(run, kind, number)
    assert re.match(says, sentence), sentence
    assert " was killed by SIGKILL" in sentence
    assert_kept(run, sentence)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("carrier", r"the carrier of the link s1-eth1 to s2-eth1 "),
        ("origin", r"the program services\.http\.origin .* of host origin "),
        ("capture", r"the capturing process "),
        ("inner", r"the process in the sandbox that runs `.*lab7 run http-versions"),
    ],
)
def test_a_death_during_http_versions_is_one_sentence(start: Callable[..., Run], kind: str, says: str) -> None:
    died_while_capturing(start(*WEB), kind, says)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "kind", "number", "says"),
    [
        (WEB, "forkserver", 0, r"the fork server, "),
        (WEB, "init", 0, r"process 1 of the sandbox "),
        (WEB, "host_process", 0, r"the process of host client's namespaces "),
        (WEB, "host_process", 1, r"the process of host origin's namespaces "),
        (WEB, "loader", 0, r"the program experiments\.http\.drivers\.loader of host client "),
        (DNS, "authoritative", 0, r"the program services\.dns\.authoritative .* of host \S+ "),
        (DNS, "resolver", 0, r"the program services\.dns\.resolver .* of host local "),
        (DNS, "driver", 0, r"the program experiments\.dns\.driver.* of host "),
        (DNS, "carrier", 2, r"the carrier of the link "),
        (DNS, "capture", 0, r"the capturing process "),
        (DNS, "forkserver", 0, r"the fork server, "),
        (MAIL, "mta", 0, r"the program services\.mail\.mta .* of host mail-"),
        (MAIL, "pop3", 0, r"the program services\.mail\.pop3 .* of host mail-"),
        (MAIL, "smtp", 0, r"the program experiments\.mail\.drivers\.smtp of host alice "),
        (MAIL, "carrier", 1, r"the carrier of the link "),
        (MAIL, "host_process", 3, r"the process of host .*'s namespaces "),
        (MAIL, "capture", 0, r"the capturing process "),
        (MAIL, "forkserver", 0, r"the fork server, "),
        (MAIL, "inner", 0, r"the process in the sandbox that runs "),
    ],
)
def test_a_death_during_an_experiment_is_one_sentence(
    start: Callable[..., Run], words: tuple[str, ...], kind: str, number: int, says: str
) -> None:
    died_while_capturing(start(*words), kind, says, number)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "kind"), [(WEB, "forkserver"), (WEB, "host_process"), (DNS, "carrier"), (MAIL, "mta"), (WEB, "inner")]
)
def test_a_death_while_the_network_is_built_leaves_no_folder(
    start: Callable[..., Run], words: tuple[str, ...], kind: str
) -> None:
    run = start(*words)
    sentence = kill(run, kind)
    assert " was killed by SIGKILL" in sentence
    # The inner process cannot remove what it has begun: there it is marked.
    left = [path.name for path in run.results.glob("*/*/*")]
    assert left == (["incomplete"] if left and kind == "inner" else [])


CRASHING = """
import argparse, functools, http.server, os, sys

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        print("out of luck", file=sys.stderr, flush=True)
        os._exit(4)

options = argparse.ArgumentParser()
options.add_argument("--port", type=int)
asked = options.parse_args()
http.server.HTTPServer(("", asked.port), Handler).serve_forever()
"""


def test_a_program_of_one_s_own_that_ends_is_told_with_its_last_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CRASHING)
    typed = "origin=python3 mine.py --port {port}"
    done = lab7("run", *WEB, "--replace", typed, cwd=tmp_path)
    assert done.returncode == CANNOT
    assert done.stdout == ""
    sentence = one_sentence(done)
    says = "lab7: the program python3 mine.py --port 80 of host origin ended with exit status 4: out of luck; "
    assert sentence.startswith(says)


# ---- The sandbox.


@pytest.mark.parametrize(
    ("script", "code", "says"),
    [
        ("exit 7", 7, ""),
        ("kill -TERM $$", USUAL_TERM, ""),
        (
            "kill -SEGV $$",
            CANNOT,
            "lab7: the process in the sandbox that runs `sh -c 'kill -SEGV $$'` was killed by SIGSEGV",
        ),
        (
            "kill -KILL $$",
            CANNOT,
            "lab7: the process in the sandbox that runs `sh -c 'kill -KILL $$'` was killed by SIGKILL",
        ),
    ],
)
def test_a_sandbox_tells_how_its_command_was_killed(script: str, code: int, says: str) -> None:
    words = [sys.executable, "-m", "topologies.emulation.sandbox", "sh", "-c", script]
    done = subprocess.run(
        words, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert (done.returncode, done.stderr.strip()) == (code, says)


@pytest.mark.parametrize("how", ["to its pid", "by the terminal"])
def test_up_on_a_terminal_ends_by_sigint(tmp_path: Path, how: str) -> None:
    near, far = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", str(LAB7), "up", "web"],
        cwd=tmp_path,
        env=environment(),
        stdin=far,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        os.close(far)
        read_until(process, b"Ctrl-C takes it down.")
        if how == "by the terminal":
            os.write(near, b"\x03")
        else:
            # setsid(1) becomes what it starts, where it does not lead a process group.
            os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=ENDS_WITHIN_S)
        assert (process.returncode, errors) == (0, b"")
    finally:
        process.kill()
        process.communicate()
        os.close(near)


def test_ctrl_c_during_the_imports_of_lab7_ends_it_silently(tmp_path: Path) -> None:
    # With -v Python says what it has imported: the rest of the command is still to come then.
    process = subprocess.Popen(
        [sys.executable, "-v", str(LAB7), "run", "http-versions"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A job in the background of a script has SIGINT ignored, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    read_until(process, b"import 'click.globals' ")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGINT
    assert b"Traceback" not in output


def test_a_results_folder_without_room_is_one_sentence(tmp_path: Path) -> None:
    mounting = 'mount -t tmpfs -o size=8k none "$1" && shift && exec "$@"'
    process = start_lab7(
        *("run", *WEB, "--results", str(tmp_path)),
        cwd=tmp_path,
        entering=("unshare", "--mount", "--propagation", "private", "sh", "-c", mounting, "sh", str(tmp_path)),
    )
    _, errors = process.communicate(timeout=2 * PATIENCE_S)
    done = subprocess.CompletedProcess(process.args, process.returncode, "", errors.decode())
    assert done.returncode == CANNOT
    assert "No space left on device" in one_sentence(done)
