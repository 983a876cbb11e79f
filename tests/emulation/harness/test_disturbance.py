"""Disturbances of samples in a running network: the programs of its hosts, and the frames of its wires."""

from __future__ import annotations

import time

import pytest

from lab7.experiments.harness.fidelity.certificate import MachineWatch
from lab7.experiments.harness.fidelity.disturbance import Disturbance, Record
from tests.emulation.support import SERVER, pair

# Computes for as long as its own clock of processor time says, so that its share of the machine does not matter.
COMPUTING_S = 0.3
COMPUTE = f"import time\nwhile time.process_time() < {COMPUTING_S}: pass"


@pytest.fixture(scope="module")
def seen() -> tuple[Record, Disturbance, Disturbance]:
    """The record of a network, a window in which a host computes, and a window in which frames cross its wire."""
    with pair(delay="10ms") as bed, MachineWatch() as watch:
        client = bed.host("client")
        began_ns = time.time_ns()
        client.run(["python3", "-c", COMPUTE])
        computed_ns = time.time_ns()
        client.start(f"lab7.topologies.emulation.probe rtt {SERVER} 5", wait=False).finish(60)
        ended_ns = time.time_ns()
    return watch.record, watch.record.within(began_ns, computed_ns), watch.record.within(computed_ns, ended_ns)


def test_each_hosts_programs_are_found(seen: tuple[Record, Disturbance, Disturbance]) -> None:
    assert {task.host for task in seen[0].tasks} == {"client", "server"}


def test_a_program_of_a_host_that_computes_is_counted(seen: tuple[Record, Disturbance, Disturbance]) -> None:
    record = seen[0]
    # Most of it: what it computed before it was found and after it was last read is missed.
    computed_ns = sum(task.computed.growth(0, 1 << 62) for task in record.tasks if task.host == "client")
    assert computed_ns / 1e9 > COMPUTING_S / 2


def test_each_frame_of_a_wire_is_recorded_in_its_direction(seen: tuple[Record, Disturbance, Disturbance]) -> None:
    counts = {wire.name: len(wire.due_ns) for wire in seen[0].wires}
    assert set(counts) == {"client-eth0 to s1-eth1", "s1-eth1 to client-eth0"}
    assert all(count >= 5 for count in counts.values())
    assert all(wire.hosts == ("client",) for wire in seen[0].wires)


def test_frames_are_recorded_on_the_clock_of_the_samples(seen: tuple[Record, Disturbance, Disturbance]) -> None:
    quiet, echoes = seen[1:]
    assert echoes.wire
    assert echoes.late_frame_s > 0
    assert (quiet.wire, quiet.late_s) == ("", 0.0)
