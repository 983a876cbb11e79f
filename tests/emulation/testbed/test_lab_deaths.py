"""A process of a lab dies: the run ends with one sentence that names it, and never with a verdict.

Each kind of process of three experiments is killed (SIGKILL) while the packets are captured, and some of them before.
"""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scapy.utils import PcapNgReader

from tests.emulation.processes import Process
from tests.emulation.running_lab import CANNOT, ENDS_WITHIN_S, Run, end_by, finish, kill, start_run
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

USUAL_TERM = 128 + signal.SIGTERM
WEB = ("http-versions", "--repeat", "500", "--set", "rtt=20ms")
DNS = ("dns-resolution", "--repeat", "500")
MAIL = ("smtp-replies",)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    started: list[Run] = []

    def begin(*words: str) -> Run:
        started.append(start_run(*words, cwd=tmp_path))
        return started[-1]

    yield begin
    for run in started:
        finish(run)


def assert_kept(run: Run, sentence: str, why: str = "run") -> None:
    """What was captured is a capture, the folder is marked, and the sentence names it."""
    said, _, place = sentence.partition("; packets captured until then are in ")
    folder = REPOSITORY / run.results.parent / place
    captures = [path for path in folder.iterdir() if path.suffix == ".pcapng"]
    assert captures
    for path in captures:
        with PcapNgReader(str(path)) as reader:
            assert list(reader)
    assert why in (folder / "incomplete").read_text()
    assert said
    assert sorted(path.name for path in folder.iterdir()) == sorted([*(path.name for path in captures), "incomplete"])


def died_while_capturing(run: Run, kind: str, says: str, number: int = 0) -> None:
    run.wait(run.captures)
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


# ---- The table: every process at every moment.

EXPERIMENTS = (WEB, DNS, ("mail-story",))
MOMENTS: dict[str, Callable[[Run], bool]] = {
    "a host exists": lambda run: run.find("host_process") is not None,
    "the links exist": lambda run: run.find("carrier") is not None,
    "the links are measured": lambda run: run.find("probe") is not None,
    "packets are captured": lambda run: run.captures(),
    "many packets are captured": lambda run: run.captures(100_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("words", EXPERIMENTS, ids=lambda words: words[0])
def test_every_process_is_missed_at_every_moment(
    start: Callable[..., Run], words: tuple[str, ...], moment: str
) -> None:
    """Kill one process of each role, each in a run of its own; the roles are those of the first run at that moment."""
    roles: list[str] = []
    done: set[str] = set()
    while not done or set(roles) - done:
        run = start(*words)
        run.wait(lambda run=run: MOMENTS[moment](run))  # type: ignore[misc]
        roles = roles or list(run.roles())
        role = next(each for each in roles if each not in done)
        done.add(role)
        victim = run.find(role)
        if victim is None:  # a client that comes and goes
            finish(run)
            continue
        sentence = end_by(run, victim, signal.SIGKILL)
        print(f"{words[0]}, {moment}, {role}: {sentence}")
        assert " was killed by SIGKILL" in sentence
        assert not list(run.results.glob("*/*/result.json"))
        if "packets" in moment:
            assert_kept(run, sentence)
        for folder in run.results.glob("*/*"):
            shutil.rmtree(folder)
    assert {"init", "inner", "forkserver", "host_process"} <= done


SUSPENSION_S = 5.0
SHORT = (("http-versions", "--repeat", "5"), ("dns-resolution", "--repeat", "5"), ("mail-story",))


@pytest.mark.slow
@pytest.mark.parametrize("role", ["inner", "forkserver", "capture", "host_process", "carrier", "a service", "all"])
@pytest.mark.parametrize("words", SHORT, ids=lambda words: words[0])
def test_a_suspended_process_makes_the_run_suspect(
    start: Callable[..., Run], words: tuple[str, ...], role: str
) -> None:
    """Suspend a process for a while, or all of them, as Ctrl-Z does: the run goes on, and its result is suspect."""
    run = start(*words)
    run.wait(run.captures)
    roles = run.roles()
    service = next(name for name in ("origin", "resolver", "mta", "authoritative") if name in roles)
    victims = run.family if role == "all" else roles[service if role == "a service" else role][-1:]
    for victim in victims:
        os.kill(victim.pid, signal.SIGSTOP)
    time.sleep(SUSPENSION_S)
    for victim in victims:
        os.kill(victim.pid, signal.SIGCONT)
    _, errors = run.process.communicate(timeout=4 * PATIENCE_S)
    assert run.process.returncode in (0, 1), errors
    assert errors == b""
    (path,) = run.results.glob("*/*/result.json")
    result = json.loads(path.read_text())
    fidelity = result["fidelity"]
    assert not [claim for claim in result["claims"] if claim["verdict"] == "failed"]
    suspect = [check["name"] for check in fidelity["checks"] if check["verdict"] == "suspect"]
    print(f"{words[0]}, {role}: {suspect}")
    assert {"longest suspension", "processes suspended"} & set(suspect)
    assert fidelity["verdict"] == "suspect"


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_a_signal_to_lab7_ends_a_run_with_its_packets(start: Callable[..., Run], number: signal.Signals) -> None:
    run = start(*WEB)
    run.wait(run.captures)
    lab7_itself = Process.read(run.process.pid)
    assert lab7_itself is not None
    sentence = end_by(run, lab7_itself, number, code=128 + number)
    assert sentence.startswith(f"stopped by {number.name}; packets captured until then are in ")
    assert_kept(run, sentence, f"stopped by {number.name}")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("role", ["inner", "forkserver", "host_process"])
def test_a_signal_while_a_network_is_built_leaves_no_folder(
    start: Callable[..., Run], number: signal.Signals, role: str
) -> None:
    run = start(*WEB)
    run.wait(lambda: run.find(role) is not None)
    lab7_itself = Process.read(run.process.pid)
    assert lab7_itself is not None
    assert end_by(run, lab7_itself, number, code=128 + number) == f"stopped by {number.name}"
    assert not list(run.results.glob("*/*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("run", *WEB, "--time", "real"), ("up", "web"), ("shell", "web")], ids=["run", "up", "shell"]
)
def test_a_closed_terminal_ends_lab7(tmp_path: Path, words: tuple[str, ...]) -> None:
    near, far = pty.openpty()
    process = subprocess.Popen(
        # A terminal program (xterm -e, ssh -t) starts a command so: it leads the session.
        ["setsid", "--ctty", "--wait", str(LAB7), *words],
        cwd=tmp_path,
        env=environment(),
        stdin=far,
        stdout=far,
        stderr=subprocess.PIPE,
    )
    os.close(far)
    try:
        run = Run(process, tmp_path / "results")
        run.wait(lambda: run.find("origin") is not None)
        family = run.family
        os.close(near)
        _, errors = process.communicate(timeout=ENDS_WITHIN_S)
        assert process.returncode == 128 + signal.SIGHUP
        assert errors.decode().startswith("lab7: stopped by SIGHUP")
        assert len(errors.splitlines()) == 1
        assert eventually(lambda: not any(one.lives for one in family))
    finally:
        process.kill()
        process.communicate()


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
    assert not list(run.results.glob("*/*"))


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


@pytest.mark.parametrize(
    "size", ["8k", pytest.param("64k", marks=pytest.mark.slow), pytest.param("512k", marks=pytest.mark.slow)]
)
def test_a_results_folder_without_room_is_one_sentence(tmp_path: Path, size: str) -> None:
    mounting = f'mount -t tmpfs -o size={size} none "$1" && shift && exec "$@"'
    process = start_lab7(
        *("run", *WEB, "--results", str(tmp_path)),
        cwd=tmp_path,
        entering=("unshare", "--mount", "--propagation", "private", "sh", "-c", mounting, "sh", str(tmp_path)),
    )
    _, errors = process.communicate(timeout=2 * PATIENCE_S)
    done = subprocess.CompletedProcess(process.args, process.returncode, "", errors.decode())
    assert done.returncode == CANNOT
    assert "No space left on device" in one_sentence(done)
