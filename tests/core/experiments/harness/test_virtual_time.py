"""Virtual time on the command line and in a result, without a kernel."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lab7.experiments.harness import clock
from lab7.experiments.harness.cli import common, lab7
from lab7.experiments.harness.clock import Clock
from lab7.experiments.harness.fidelity.certificate import MachineWatch
from lab7.experiments.harness.reruns import summary
from lab7.experiments.harness.results.result import Check, Fidelity
from lab7.experiments.harness.virtual_time.job import RESULT_PLACE
from lab7.experiments.harness.virtual_time.kernel_run import ProgressLimits, Relay, raise_error, still_limit_s
from lab7.topologies.emulation.errors import EmulationError, ProgramError
from lab7.topologies.emulation.virtual import kernel
from lab7.topologies.emulation.virtual.machine import OverdueError
from tests.core.experiments.harness.samples import sample_result

VIRTUAL = Clock("virtual", "6.1.9", "0123456789ab")


@pytest.mark.parametrize("command", ["up", "shell"])
def test_a_network_to_live_in_has_real_time_and_says_why(command: str) -> None:
    done = CliRunner().invoke(lab7, [command, "web", "--time", "virtual"])
    assert done.exit_code == common.USAGE
    assert "interactive use needs real time" in done.output


@pytest.mark.parametrize(
    ("option", "said"), [(["--links", "wire"], "--links wire"), (["--no-sandbox"], "--no-sandbox")]
)
def test_what_contradicts_virtual_time_is_wrong_use(option: list[str], said: str) -> None:
    done = CliRunner().invoke(lab7, ["run", "http-versions", "--time", "virtual", *option])
    assert done.exit_code == common.USAGE
    assert f"leave {said} out" in done.output


@pytest.mark.parametrize("words", [["--time", "virtual"], []])
def test_without_its_kernel_a_sentence_says_how_to_get_it(
    words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernel, "SHARED", tmp_path)
    monkeypatch.setattr(kernel, "unsupported", lambda: "")
    if not words:
        monkeypatch.setenv("LAB7_TIME", "virtual")
    done = CliRunner().invoke(lab7, ["run", "http-versions", *words])
    assert "lab7 doctor --fix" in str(done.exception)


def test_two_runs_are_compared_in_virtual_time_alone() -> None:
    done = CliRunner().invoke(lab7, ["run", "http-versions", "--time", "real", "--no-sandbox", "--twice"])
    assert done.exit_code == common.USAGE
    assert "--twice needs virtual time" in done.output


@pytest.mark.parametrize(
    ("timed", "links", "sandboxed", "built", "clock_word"),
    [
        ("auto", "auto", True, True, "virtual"),
        ("auto", "netem", True, True, "virtual"),
        ("auto", "auto", True, False, "auto"),
        ("auto", "wire", True, True, "auto"),
        ("auto", "auto", False, True, "auto"),
        ("real", "auto", True, True, "real"),
        ("virtual", "auto", True, False, "virtual"),
    ],
)
def test_experiments_have_virtual_time_where_its_kernel_is_there(
    timed: str, links: str, sandboxed: bool, built: bool, clock_word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "unsupported", lambda: "")
    monkeypatch.setattr(kernel, "find", lambda: object() if built else None)
    assert common.run_clock(timed, links, sandboxed) == clock_word


def test_in_the_kernel_its_time_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.VARIABLE, VIRTUAL.to_text())
    assert clock.current() == VIRTUAL
    assert common.virtual_time("virtual", "netem", True) is None


def test_a_clock_says_what_its_figures_are_good_for() -> None:
    said = VIRTUAL.sentence(7)
    assert said.startswith(
        "the clock was virtual: computation takes no time; use the results for order, content and formulas"
    )
    assert said.endswith("(kernel 6.1.9, configuration 0123456789ab, seed 7)")
    assert "virtual" not in Clock().sentence(7)


def test_what_the_machine_does_is_no_check_in_virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with MachineWatch() as real:
        pass
    assert real.checks()
    monkeypatch.setenv(clock.VARIABLE, VIRTUAL.to_text())
    with MachineWatch() as virtual:
        pass
    assert virtual.checks() == []


def test_the_summary_does_not_blame_other_programs_for_what_happened_in_virtual_time() -> None:
    result = sample_result(fidelity=Fidelity("suspect", (Check("RTT a-b", "10 ms", "20 ms", "suspect"),)))
    assert "stop other programs" in " ".join(summary([(Path("folder"), result)]))
    said = " ".join(summary([(Path("folder"), replace(result, clock=VIRTUAL))]))
    assert "stop other programs" not in said
    assert "a run with this seed has the same result" in said


class Spinning:
    """A machine that computes all the time."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def real_s(self) -> float:
        return self.now_s

    def used_s(self) -> float:
        return self.now_s


def steps(folder: Path, rows: list[Any]) -> None:
    with open(folder / "progress", "a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def beats(folder: Path) -> None:
    with open(folder / "beats", "ab") as file:
        file.write(b".")


def test_a_run_that_computes_without_progress_is_ended_and_one_with_progress_is_not(tmp_path: Path) -> None:
    machine, told = Spinning(), []
    relay = Relay(tmp_path, lambda what, share: told.append((what, share)), live=False)
    patience = ProgressLimits(machine, relay, 100.0)  # type: ignore[arg-type]
    for second in range(2, 200, 2):
        machine.now_s = float(second)
        steps(tmp_path, [["measuring", second / 1000]])
        relay()
        patience.check()
    assert told[-1] == ("measuring", 0.198)
    # The clock moves, so nothing has stopped it.
    for _ in range(2):
        machine.now_s += 50
        beats(tmp_path)
        relay()
        patience.check()
    machine.now_s += 2
    beats(tmp_path)
    relay()
    with pytest.raises(OverdueError, match="no progress in 100 s of processor time"):
        patience.check()


@pytest.mark.parametrize(
    ("given", "begun", "limit_s"),
    [({}, True, 60), ({}, False, 120), ({"LAB7_STILL_LIMIT": "8"}, True, 8), ({"LAB7_STILL_LIMIT": "8"}, False, 120)],
)
def test_a_run_whose_clock_stands_still_while_it_computes_is_ended(
    given: dict[str, str], begun: bool, limit_s: int, tmp_path: Path
) -> None:
    machine = Spinning()
    relay = Relay(tmp_path, lambda _what, _share: None, live=False)
    patience = ProgressLimits(machine, relay, 1e6, still_limit_s(given))  # type: ignore[arg-type]
    beats(tmp_path)
    if begun:
        steps(tmp_path, [["measuring", 0.1]])
    for _ in range(limit_s // 2):
        machine.now_s += 2
        relay()
        patience.check()
    machine.now_s += 3
    relay()
    with pytest.raises(OverdueError, match=f"no progress of the virtual clock in {limit_s} s"):
        patience.check()


def test_a_run_without_a_report_has_at_least_the_time_of_one_whose_clock_stands(tmp_path: Path) -> None:
    machine = Spinning()
    relay = Relay(tmp_path, lambda _what, _share: None, live=False)
    patience = ProgressLimits(machine, relay, 100.0, 600.0)  # type: ignore[arg-type]
    machine.now_s = 599.0
    relay()
    patience.check()
    machine.now_s = 602.0
    relay()
    with pytest.raises(OverdueError, match="in 600 s"):
        patience.check()


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_bound_that_is_none_is_wrong_use(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB7_STILL_LIMIT", text)
    done = CliRunner().invoke(lab7, ["run", "http-versions", "--time", "virtual"])
    assert done.exit_code == common.USAGE
    assert f"LAB7_STILL_LIMIT={text} is invalid" in done.output


def test_a_run_that_uses_no_processor_time_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Spinning()
    monkeypatch.setattr(machine, "used_s", lambda: 1.0)
    relay = Relay(tmp_path, lambda _what, _share: None, live=False)
    patience = ProgressLimits(machine, relay, 1e6)  # type: ignore[arg-type]
    for second in range(2, 300, 2):
        machine.now_s = float(second)
        patience.check()
    machine.now_s = 303.0
    with pytest.raises(OverdueError, match="idle for 300 s"):
        patience.check()


def test_a_program_that_did_not_start_in_the_kernel_is_that_error_with_the_path_on_the_host(tmp_path: Path) -> None:
    program = {"command": "python3 mine.py", "status": 1, "output": f"{RESULT_PLACE}/program-origin.log"}
    with pytest.raises(ProgramError, match="ended before it listened") as error:
        raise_error({"error": "`python3 mine.py` ended before it listened", "program": program}, tmp_path)
    assert (error.value.status, error.value.output) == (1, tmp_path / "program-origin.log")
    with pytest.raises(EmulationError, match=f"{tmp_path}/x is full"):
        raise_error({"error": f"{RESULT_PLACE}/x is full", "program": None}, tmp_path)
    raise_error({"error": None, "program": None}, tmp_path)
