"""A process of a lab dies: the run ends with one sentence that names it, and never with a verdict.

The table kills (SIGKILL) every process of three experiments, found in /proc, at five moments, each in a run of its own.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.utils import PcapNgReader

from lab7.experiments.harness.results.partial import PARTIAL_NAME
from tests.emulation.deaths.running_lab import CANNOT, End, Latencies, Run, caught, end_by, end_of, finish
from tests.emulation.deaths.running_lab import start as start_command
from tests.emulation.processes import Process
from tests.emulation.support import PATIENCE_S, REPOSITORY, environment, lab7

USUAL_TERM = 128 + signal.SIGTERM
HTTP = ("http-keep-alive", "--repeat", "100")
DNS = ("dns-resolution", "--repeat", "500")
MAIL = ("mail-story",)
PAGE = ("http-versions", "--set", "strategies=1.0-serial", "--repeat", "1")
# Soon at their end, for their judges.
SHORT: dict[tuple[str, ...], tuple[str, ...]] = {
    **{words: (words[0], "--repeat", "1") for words in (HTTP, DNS, MAIL)},
    PAGE: PAGE,
}
MIDDLE_BYTES = {HTTP: 10_000, DNS: 20_000, MAIL: 200_000}
WEB = ("http-versions", "--repeat", "500", "--set", "rtt=20ms")

MOMENTS: dict[str, Callable[[Run, tuple[str, ...]], bool]] = {
    "set-up": lambda run, _words: run.find("host_process") is not None,
    "services start": lambda run, _words: run.serves(),
    "first exchange": lambda run, _words: run.captures(),
    "middle": lambda run, words: run.captures(MIDDLE_BYTES[words]),
    "judging": lambda run, _words: run.judges(),
}
HAS_PACKETS = ("first exchange", "middle", "judging")
# The begin of the sentence on the death of each role, by default of a service or a client.
SAYS = {
    "init": r"process 1 of the sandbox was",
    "inner": r"the process in the sandbox that runs `.*` was",
    "forkserver": r"the fork server, which starts the services \(lab7\.topologies\.emulation\.process\.\w+\), was",
    "capture": r"the capturing process \(lab7\.experiments\.harness\.capture\.recorder\) was",
    "host_process": r"the process of host \S+'s namespaces \(lab7\.topologies\.emulation\.process\.host_process\) was",
    "carrier": r"the carrier of the links? \S+ to \S+(, .*| and .*)? \(lab7\.topologies\.emulation\.wire\.\w+\) was",
}
# These are over in a fraction of a second: the run is held then.
SHORT_MOMENTS = ("judging",)
# Roles of every moment at which the network is up, and while packets are captured.
STANDING = {"outer", "init", "inner", "forkserver", "host_process"}
ATTEMPTS = 3


def reach(start: Callable[..., Run], words: tuple[str, ...], moment: str) -> Run:
    """Start an experiment and wait for a moment of it; where that is short, the run is held then."""
    while True:
        run = start(*(SHORT[words] if moment == "judging" else words))
        run.wait(lambda run=run: MOMENTS[moment](run, words))  # type: ignore[misc]
        if moment not in SHORT_MOMENTS:
            return run
        run.hold()
        if run.held is not None and not run.has_result:
            return run
        finish(run)


def assert_kept(run: Run, sentence: str, why: str = "run") -> None:
    """What was captured is a capture, the folder is marked, and the sentence names it."""
    said, _, place = sentence.partition("; packets captured until then are in ")
    folder = REPOSITORY / run.results.parent / place.partition(", with ")[0]
    captures = [path for path in folder.iterdir() if path.suffix == ".pcapng"]
    assert captures
    for path in captures:
        with PcapNgReader(str(path)) as reader:
            assert list(reader)
    assert why in (folder / "incomplete").read_text()
    assert said
    measured = [PARTIAL_NAME] if (folder / PARTIAL_NAME).exists() else []
    names = [*(path.name for path in captures), *measured, "incomplete"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


def assert_told(run: Run, role: str, end: End, has_packets: bool) -> None:
    """The sentence names the process and its signal; what was captured is kept, and there is no result."""
    says = SAYS.get(role, rf"the program \S*\.{role}\b.* of host \S+ was")
    if role.startswith("+"):  # A network tool, or a child of the fork server that has no name yet.
        says = r"the (program|process|carrier) .* was"
    assert re.match(f"{says} killed by SIGKILL", end.sentence), end.sentence
    if has_packets:
        assert_kept(run, end.sentence)
    else:
        assert not list(run.results.glob("*/*"))
    assert not run.has_result


# ---- A part of the table, in every `make test`.


@pytest.mark.parametrize(
    ("words", "role", "moment"),
    [
        (HTTP, "carrier", "first exchange"),
        (HTTP, "capture", "first exchange"),
        (DNS, "resolver", "services start"),
        (MAIL, "host_process", "set-up"),
        (PAGE, "inner", "judging"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_death_is_one_sentence(
    start: Callable[..., Run], latencies: Latencies, words: tuple[str, ...], role: str, moment: str
) -> None:
    run = reach(start, words, moment)
    victim = awaited(run, role)
    assert victim is not None, run.process.communicate()
    end = end_by(run, victim, signal.SIGKILL)
    latencies.add(role, end)
    assert_told(run, role, end, moment in HAS_PACKETS)


# ---- The table: every process at every moment.


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("words", [HTTP, DNS, MAIL], ids=lambda words: words[0])
def test_every_process_is_missed_at_every_moment(
    start: Callable[..., Run], latencies: Latencies, words: tuple[str, ...], moment: str
) -> None:
    """Kill one process of each role, each in a run of its own; the roles are those that any of the runs has.

    A process that comes and goes (a probe, a network tool) may be gone before the signal: another run is tried then.
    """
    open_roles, done, attempts = {"inner"}, set[str](), dict[str, int]()
    while open_roles:
        run = reach(start, words, moment)
        open_roles |= set(run.roles()) - done
        role = sorted(open_roles)[0]
        victim = caught(run, role) if role.startswith("+") or role == "probe" else awaited(run, role)
        # Some have started while this one was awaited.
        open_roles |= set(run.roles()) - done
        attempts[role] = attempts.get(role, 0) + 1
        if victim is None:
            finish(run)
            if attempts[role] == ATTEMPTS:
                print(f"{words[0]}, {moment}, {role}: it comes and goes")
                open_roles.discard(role)
                done.add(role)
            continue
        open_roles.discard(role)
        done.add(role)
        end = end_by(run, victim, signal.SIGKILL, -signal.SIGKILL if role == "outer" else CANNOT)
        print(f"{words[0]}, {moment}, {role}: {end.said}, {end.sentence_s:.2f} s, {end.exit_s:.2f} s")
        if role == "outer":  # Killed by a signal that it cannot handle, it says nothing.
            assert end.said == []
            assert not run.has_result
        else:
            latencies.add(role, end)
            assert_told(run, role, end, moment in HAS_PACKETS)
        finish(run)
    assert done >= ({"outer", "init", "inner"} if moment == "judging" else STANDING)


def awaited(run: Run, role: str) -> Process | None:
    """The process of a role, as soon as there is one: processes of one moment start one after the other."""
    run.wait(lambda: run.find(role) is not None)
    return run.find(role)


ORPHAN = """
import os, sys
from lab7.topologies.emulation.process.namespaces import die_with_parent

parent = os.fork()
if parent == 0:
    parent = os.getpid()
    if os.fork() == 0:
        while os.getppid() == parent:
            pass
        die_with_parent(parent)
        print("alive", flush=True)
    os._exit(0)
"""


def test_a_child_of_a_parent_that_has_died_already_dies() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    assert (done.stdout, done.stderr) == ("", "")


TOOL = """#!/bin/sh
# ip(8), but for one call of it, which is killed as for lack of memory.
echo call >> {count}
[ "$(wc -l < {count})" -eq {number} ] && kill -KILL $$
exec {program} "$@"
"""


@pytest.mark.parametrize("number", [1, 2, *(pytest.param(number, marks=pytest.mark.slow) for number in (3, 5))])
def test_a_killed_network_tool_is_one_sentence(tmp_path: Path, number: int) -> None:
    program = shutil.which("ip", path=f"{environment()['PATH']}:/usr/sbin:/sbin")
    (tmp_path / "ip").write_text(TOOL.format(count=tmp_path / "count", number=number, program=program))
    (tmp_path / "ip").chmod(0o755)
    changes = {"PATH": f"{tmp_path}:{environment()['PATH']}"}
    run = start_command("run", *SHORT[HTTP], "--time", "real", cwd=tmp_path, changes=changes)
    end = end_of(run, lambda: None)
    assert end.code == CANNOT
    assert "the program ip was killed by SIGKILL: link " in end.sentence
    assert not run.has_result


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
    # What it sent is judged: the run has a result, whose claims are not shown.
    assert done.returncode == 1
    assert "ended with exit status 4: out of luck" in done.stdout


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
    words = [sys.executable, "-m", "lab7.topologies.emulation.sandbox", "sh", "-c", script]
    done = subprocess.run(
        words, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert (done.returncode, done.stderr.strip()) == (code, says)
