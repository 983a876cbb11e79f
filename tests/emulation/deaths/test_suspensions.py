"""A process of a running lab is suspended: the run goes on, its result is suspect, and no claim is failed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.emulation.deaths.running_lab import Run, caught, finish
from tests.emulation.deaths.test_deaths import DNS, HTTP, MAIL
from tests.emulation.processes import Process
from tests.emulation.support import PATIENCE_S

SUSPENSION_S = 5.0
SHORT = {HTTP: ("http-keep-alive",), DNS: ("dns-resolution", "--repeat", "2"), MAIL: MAIL}
STANDSTILLS = {"longest suspension", "processes suspended"}
# They wait for the end of the run alone, which does not notice their suspension.
WAITING = {"outer", "init"}


def suspended(run: Run, victims: list[Process]) -> dict[str, object]:
    """Suspend processes for a while, as Ctrl-Z does with all of a run; return the result of the run."""
    for victim in victims:
        os.kill(victim.pid, signal.SIGSTOP)
    time.sleep(SUSPENSION_S)
    for victim in victims:
        # Its network may have been taken down meanwhile, where nothing waited for it.
        with suppress(ProcessLookupError):
            os.kill(victim.pid, signal.SIGCONT)
    _, errors = run.process.communicate(timeout=4 * PATIENCE_S)
    assert run.process.returncode in (0, 1), errors
    assert errors == b""
    (path,) = run.results.glob("*/*/result.json")
    result: dict[str, object] = json.loads(path.read_text())
    path.unlink()
    return result


def assert_suspect(result: dict, what: str) -> None:  # type: ignore[type-arg]
    assert not [claim for claim in result["claims"] if claim["verdict"] == "failed"]
    fidelity = result["fidelity"]
    suspect = [check["name"] for check in fidelity["checks"] if check["verdict"] == "suspect"]
    print(f"{what}: {suspect}")
    assert STANDSTILLS & set(suspect)
    assert fidelity["verdict"] == "suspect"


@pytest.mark.slow
@pytest.mark.parametrize("words", [HTTP, DNS, MAIL], ids=lambda words: words[0])
def test_a_suspended_process_of_any_role_makes_the_run_suspect(
    start: Callable[..., Run], words: tuple[str, ...]
) -> None:
    """Suspend one process of each role, each in a run of its own; the roles are those that any of the runs has."""
    open_roles, done, attempts = {"inner"}, set[str](), 0
    while open_roles:
        run = start(*SHORT[words])
        run.wait(run.captures)
        open_roles |= {role for role in run.roles() if not role.startswith("+")} - done
        role = sorted(open_roles)[0]
        victim = caught(run, role)
        while victim is None and run.process.poll() is None:
            victim = caught(run, role)
        if victim is None:
            # The run has ended without a process of that role, or each of them was gone at once.
            finish(run)
            attempts += 1
            assert attempts < 10, role
            continue
        open_roles.discard(role)
        done.add(role)
        attempts = 0
        result = suspended(run, [victim])
        if role in WAITING:
            assert not [claim for claim in result["claims"] if claim["verdict"] == "failed"]  # type: ignore[attr-defined]
        else:
            assert_suspect(result, f"{words[0]}, {role}")
    assert done >= {"outer", "init", "inner", "forkserver", "host_process", "carrier", "capture"}


@pytest.mark.slow
@pytest.mark.parametrize("words", [HTTP, DNS, MAIL], ids=lambda words: words[0])
def test_a_suspended_lab_is_suspect(start: Callable[..., Run], words: tuple[str, ...]) -> None:
    run = start(*SHORT[words])
    run.wait(run.captures)
    assert_suspect(suspended(run, [processes[-1] for processes in run.roles().values()]), words[0])
