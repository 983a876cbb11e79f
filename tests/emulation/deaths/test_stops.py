"""lab7 is told to end, by a signal or by its terminal: one sentence, the signal's exit code, and the packets kept."""

from __future__ import annotations

import csv
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab7.experiments.harness.results.partial import PARTIAL_NAME
from tests.emulation.deaths.running_lab import COMMAND, ENDS_WITHIN_S, End, Latencies, Run, end_by, end_of
from tests.emulation.deaths.test_deaths import DNS, HAS_PACKETS, HTTP, MAIL, MOMENTS, assert_kept, reach
from tests.emulation.support import LAB7, PATIENCE_S, environment, eventually, read_until

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def assert_stopped(run: Run, end: End, number: signal.Signals, has_packets: bool) -> None:
    if has_packets:
        assert end.sentence.startswith(f"stopped by {number.name}; packets captured until then are in ")
        assert_kept(run, end.sentence, f"stopped by {number.name}")
    else:
        assert end.sentence == f"stopped by {number.name}"
        assert not list(run.results.glob("*/*"))


@pytest.mark.parametrize("moment", ["first exchange"])
def test_ctrl_c_ends_a_run_with_its_packets(start: Callable[..., Run], latencies: Latencies, moment: str) -> None:
    run = reach(start, HTTP, moment)
    end = end_by(run, run.outer, signal.SIGINT, 128 + signal.SIGINT)
    latencies.add("SIGINT", end)
    assert_stopped(run, end, signal.SIGINT, moment in HAS_PACKETS)


def test_ctrl_c_keeps_what_was_measured(start: Callable[..., Run]) -> None:
    """The times so far are kept and marked, and the index lists the run."""
    run = start("http-versions", "--repeat", "200", "--set", "rtt=4ms")
    run.wait(lambda: any(run.results.glob(f"http-versions/*/{PARTIAL_NAME}")))
    run.process.send_signal(signal.SIGINT)
    _, errors = run.process.communicate(timeout=PATIENCE_S)
    assert run.process.returncode == 128 + signal.SIGINT
    (folder,) = run.results.glob("http-versions/*")
    with (folder / PARTIAL_NAME).open() as file:
        rows = list(csv.DictReader(file))
    assert re.search(rf"{folder.name}, with {len(rows)} measured times? in {PARTIAL_NAME}$", errors.decode().strip())
    assert {row["step"].partition(",")[0] for row in rows} <= {"1.0-serial", "1.0-parallel"}
    assert all(0.004 < float(row["duration_s"]) < 60 and int(row["start_ns"]) > 0 for row in rows)
    assert f"Times measured until then: {len(rows)}, in {PARTIAL_NAME}" in (folder / "incomplete").read_text()
    assert f"http-versions/{folder.name}/{PARTIAL_NAME}" in (run.results / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("words", [HTTP, DNS, MAIL], ids=lambda words: words[0])
def test_a_signal_ends_a_run_at_any_moment(
    start: Callable[..., Run], latencies: Latencies, words: tuple[str, ...], moment: str, number: signal.Signals
) -> None:
    run = reach(start, words, moment)
    end = end_by(run, run.outer, number, 128 + number)
    print(f"{words[0]}, {moment}: {end}")
    latencies.add(number.name, end)
    assert_stopped(run, end, number, moment in HAS_PACKETS)


# ---- Terminals.


def start_on_terminal(words: tuple[str, ...], cwd: Path, far: int, stderr: int) -> Run:
    """Start a command as the leader of a terminal's session, as a terminal program (xterm -e, ssh -t) does."""
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *COMMAND, *words],
        cwd=cwd,
        env=environment(),
        stdin=far,
        stdout=far if stderr == far else subprocess.DEVNULL,
        stderr=stderr,
    )
    return Run(process, cwd / "results")


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["set-up", "services start", "first exchange", "middle"])
@pytest.mark.parametrize("words", [HTTP, DNS, MAIL], ids=lambda words: words[0])
def test_a_closed_terminal_ends_a_run(
    tmp_path: Path, latencies: Latencies, words: tuple[str, ...], moment: str
) -> None:
    near, far = pty.openpty()
    run = start_on_terminal(("run", *words, "--time", "real"), tmp_path, far, subprocess.PIPE)
    os.close(far)
    try:
        run.wait(lambda: MOMENTS[moment](run, words))
        family = run.family
        end = end_of(run, lambda: os.close(near))
        latencies.add("closed terminal", end)
        assert end.code == 128 + signal.SIGHUP
        assert_stopped(run, end, signal.SIGHUP, moment in HAS_PACKETS)
        assert eventually(lambda: not any(one.lives for one in family))
    finally:
        run.process.kill()
        run.process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("words", [("run", *HTTP), ("up", "web"), ("shell", "web")], ids=lambda words: words[0])
def test_a_closed_terminal_that_has_all_output_ends_lab7(tmp_path: Path, words: tuple[str, ...]) -> None:
    near, far = pty.openpty()
    run = start_on_terminal(words, tmp_path, far, far)
    os.close(far)
    try:
        run.wait(run.serves)
        family = run.family
        assert family
        os.close(near)
        assert run.process.wait(ENDS_WITHIN_S) == 128 + signal.SIGHUP
        assert eventually(lambda: not any(one.lives for one in family))
    finally:
        run.process.kill()
        run.process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("words", [HTTP, DNS, MAIL], ids=lambda words: words[0])
def test_ctrl_c_of_a_terminal_ends_a_run(tmp_path: Path, latencies: Latencies, words: tuple[str, ...]) -> None:
    near, far = pty.openpty()
    run = start_on_terminal(("run", *words, "--time", "real"), tmp_path, far, subprocess.PIPE)
    os.close(far)
    try:
        run.wait(run.captures)
        end = end_of(run, lambda: os.write(near, b"\x03"))
        latencies.add("Ctrl-C", end)
        assert end.code == 128 + signal.SIGINT
        assert_stopped(run, end, signal.SIGINT, True)
    finally:
        run.process.kill()
        run.process.communicate()
        os.close(near)


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
