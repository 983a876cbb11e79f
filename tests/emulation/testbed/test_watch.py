"""The watch over a testbed's processes: which end is a death, what it interrupts, and what suspends a run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.harness.fidelity.certificate import GAP_MAX_S, MachineWatch
from lab7.topologies.emulation.process.launcher import Service
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.emulation.watch import LabDied, ServerDied, interrupts_deferred
from tests.emulation.processes import Process
from tests.emulation.support import PATIENCE_S, REPOSITORY, PairTopo, environment, eventually, pair, read_until

# Longer than a death takes, so that what is not interrupted is found.
ENDS_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("www")
    (folder / "index.html").write_text("hello")
    return folder


def origin(root: Path, **more: Any) -> Testbed:
    return pair(f"lab7.services.http.origin --root {root} --port 80", **more)


def server(bed: Testbed) -> Service:
    (service,) = bed.services["server"]
    assert isinstance(service, Service)
    return service


def wait_in_sleep(_bed: Testbed) -> None:
    time.sleep(ENDS_WITHIN_S)


def wait_for_a_line(bed: Testbed) -> None:
    bed.host("client").start("lab7.experiments.http.drivers.loader").read_line(ENDS_WITHIN_S)


def wait_for_a_program(bed: Testbed) -> None:
    bed.host("client").run(["sleep", str(ENDS_WITHIN_S)])


def wait_for_an_event(_bed: Testbed) -> None:
    threading.Event().wait(ENDS_WITHIN_S)


def death_in(bed: Testbed, body: Callable[[Testbed], object]) -> LabDied:
    """The death that interrupts `body` on a running testbed."""

    def run() -> None:
        with bed:
            body(bed)

    with pytest.raises(LabDied) as raised:
        run()
    return raised.value


@pytest.mark.parametrize("wait", [wait_in_sleep, wait_for_a_line, wait_for_a_program, wait_for_an_event])
def test_a_death_interrupts_whatever_the_experiment_waits_for(root: Path, wait: Callable[[Testbed], None]) -> None:
    def body(bed: Testbed) -> None:
        threading.Timer(0.3, os.kill, (server(bed).pid, signal.SIGKILL)).start()
        wait(bed)
        pytest.fail("nothing interrupted it")

    death = death_in(origin(root), body)
    assert isinstance(death, ServerDied)
    assert re.fullmatch(r"the program lab7\.services\.http\.origin .* of host server was killed by SIGKILL", str(death))


def test_handlers_of_expected_errors_do_not_take_a_death_for_the_outcome(root: Path) -> None:
    taken: list[Exception] = []

    def body(bed: Testbed) -> None:
        try:
            os.kill(server(bed).pid, signal.SIGKILL)
            time.sleep(ENDS_WITHIN_S)
        except Exception as error:
            taken.append(error)

    death_in(origin(root), body)
    assert taken == []


def test_an_error_that_a_death_has_caused_is_told_by_its_cause(root: Path) -> None:
    def body(bed: Testbed) -> None:
        os.kill(server(bed).pid, signal.SIGKILL)
        raise ConnectionResetError("the server's connection was reset")

    assert "of host server was killed" in str(death_in(origin(root), body))


def test_a_death_waits_for_the_end_of_a_block_that_holds_it(root: Path) -> None:
    reached: list[str] = []

    def body(bed: Testbed) -> None:
        with interrupts_deferred():
            os.kill(server(bed).pid, signal.SIGKILL)
            assert eventually(lambda: bed.death is not None)
            time.sleep(0.1)
            reached.append("the end of the block")
        reached.append("more")

    death_in(origin(root), body)
    assert reached == ["the end of the block"]


def test_a_server_that_ends_well_without_being_told_is_a_death(root: Path) -> None:
    def body(bed: Testbed) -> None:
        os.kill(server(bed).pid, signal.SIGTERM)
        time.sleep(ENDS_WITHIN_S)

    assert "of host server ended with exit status 0" in str(death_in(origin(root), body))


def test_of_several_deaths_the_cause_is_told(root: Path) -> None:
    def body(_bed: Testbed) -> None:
        for one in Process.all():
            if "lab7.topologies.emulation.process.forkserver" in one.words and one.parent == os.getpid():
                os.kill(one.pid, signal.SIGKILL)
        time.sleep(ENDS_WITHIN_S)

    assert str(death_in(origin(root), body)).startswith("the fork server, ")


def test_what_is_stopped_on_purpose_is_no_death(root: Path) -> None:
    with origin(root) as bed:
        server(bed).kill()
        bed.restart("server")
        bed.restart("server")
        server(bed).stop()
        helper = bed.host("client").start_program([sys.executable, "-m", "http.server", "8099"], 8099)
        helper.kill()
        time.sleep(0.2)
        assert bed.host("client").run(["true"]).returncode == 0


def test_a_network_that_is_to_stay_up_tells_of_a_server(root: Path) -> None:
    told: list[str] = []
    topo = PairTopo(serves=f"lab7.services.http.origin --root {root} --port 80")
    with Testbed(topo, links="wire", server_died=told.append) as bed:
        os.kill(server(bed).pid, signal.SIGKILL)
        assert eventually(lambda: bool(told))
        assert bed.host("client").run(["true"]).returncode == 0
    (sentence,) = told
    assert "of host server was killed by SIGKILL" in sentence


def test_a_suspended_process_makes_a_run_suspect(root: Path) -> None:
    with origin(root) as bed, MachineWatch() as machine:
        os.kill(server(bed).pid, signal.SIGSTOP)
        assert eventually(lambda: bed.stopped != [])
        assert eventually(lambda: verdict_of(machine, "processes suspended") == "suspect")
        os.kill(server(bed).pid, signal.SIGCONT)


def test_a_suspended_process_that_is_told_to_stop_makes_a_run_suspect(root: Path) -> None:
    with origin(root) as bed, MachineWatch() as machine:
        pid = server(bed).pid
        os.kill(pid, signal.SIGSTOP)
        assert eventually(lambda: (found := Process.read(pid)) is not None and found.state == "T")
        server(bed).terminate()
        assert bed.stopped != []
        os.kill(pid, signal.SIGCONT)
        server(bed).stop()
        assert bed.stopped == []
    assert machine.checks()


SUSPENDING = """
import os, signal, sys
from lab7.experiments.harness.fidelity.certificate import MachineWatch

with MachineWatch() as machine:
    print("suspended", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
(check,) = [each for each in machine.checks() if each.name == "longest suspension"]
print(check.verdict)
"""


def test_a_run_that_stood_still_is_suspect() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SUSPENDING], cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE
    )
    read_until(process, b"suspended\n")
    assert eventually(lambda: (found := Process.read(process.pid)) is not None and found.state == "T")
    time.sleep(2 * GAP_MAX_S)
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert output.strip() == b"suspect"


def verdict_of(machine: MachineWatch, name: str) -> str:
    (found,) = (check.verdict for check in machine.checks() if check.name == name)
    return found
