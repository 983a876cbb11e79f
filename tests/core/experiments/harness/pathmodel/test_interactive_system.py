"""Interactive system on the path model, against the asymptotic bounds and its own terms."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest
from mininet.topo import Topo

from lab7.experiments.cdn.theory import beyond_bound, interactive
from lab7.experiments.harness.pathmodel.dialogue import IDEAL
from lab7.experiments.harness.pathmodel.interactive_system import Client, Plan, requests_of
from lab7.experiments.harness.theory.tcp import SYN_FRAME_BYTES, transmission_time_s

RATE_BPS, RTT_S, THINK_S = 5e6, 0.03, 0.1
REQUEST_BYTES, RESPONSE_BYTES = 79, 13_234
REQUEST_S, SERVICE_S = (transmission_time_s(size, RATE_BPS) for size in (REQUEST_BYTES, RESPONSE_BYTES))
NS = 1e-9


class Star(Topo):  # type: ignore[misc]
    """One user and an origin behind a narrow link."""

    def build(self) -> None:
        """Build the topology."""
        middle = self.addSwitch("s0")
        self.addLink(self.addHost("user", ip="10.0.0.1/8"), middle)
        self.addLink(self.addHost("origin", ip="10.0.0.2/8"), middle, bw=5, delay="15ms")


def plan(*first_thinks_s: float, until_s: float = 3.0) -> Plan:
    clients = [Client("user", first_s) for first_s in first_thinks_s]
    return Plan(clients, "origin", RATE_BPS, THINK_S, until_s, REQUEST_BYTES, RESPONSE_BYTES)


def test_a_client_alone_never_waits() -> None:
    asked = requests_of(Star(), plan(0.05), IDEAL)
    alone_s = RTT_S + REQUEST_S + SERVICE_S
    assert [one.response_s for one in asked] == pytest.approx([alone_s] * len(asked), abs=100 * NS)
    cycles_s = [later.at_s - one.at_s for one, later in pairwise(asked)]
    assert cycles_s == pytest.approx([alone_s + THINK_S] * len(cycles_s), abs=100 * NS)
    assert asked[-1].at_s < 3.0


def test_clients_below_the_knee_meet_once_and_never_again() -> None:
    asked = requests_of(Star(), plan(0.05, 0.05), IDEAL)
    alone_s = RTT_S + REQUEST_S + SERVICE_S
    late = [one.response_s - alone_s for one in asked if one.response_s - alone_s > 1e-6]
    # Its SYN was behind the other one's, and so its request is; from its wait on it comes after that response.
    assert late == pytest.approx([SERVICE_S - SYN_FRAME_BYTES * 8 / RATE_BPS], abs=1e-6)


def test_beyond_the_knee_each_further_client_costs_its_service() -> None:
    asked = requests_of(Star(), plan(*[0.01 * number for number in range(16)], until_s=6), IDEAL)
    response_s = statistics.fmean(one.response_s for one in asked if one.at_s > 3)
    assert response_s == pytest.approx(16 * SERVICE_S - THINK_S, abs=1e-6)


@pytest.mark.parametrize("clients", [1, 4, 16])
def test_the_terms_and_the_bound_are_the_models_mean(clients: int) -> None:
    some = plan(*[0.013 * number for number in range(clients)])
    bound = interactive([RTT_S] * clients, SERVICE_S, THINK_S)
    terms = beyond_bound(bound, some, Star(), 1.0, [RTT_S] * clients)
    mean_s = statistics.fmean(one.response_s for one in requests_of(Star(), some) if 1.0 <= one.at_s < 3.0)
    assert bound.plus(terms).total_s == pytest.approx(mean_s)
    assert terms["internet"] == pytest.approx(0)
    assert terms["request"] == REQUEST_S
    assert beyond_bound(bound, some, Star(), 3.0, [RTT_S] * clients) == {}
