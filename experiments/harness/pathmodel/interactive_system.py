"""Simulation of an interactive system: N clients request, receive, think for time Z and repeat, over shared links.

    clients = [Client("eu-user", first_think_s=0.03), Client("ap-user", first_think_s=0.08)]
    plan = Plan(clients, "origin", rate_bps=5e6, think_s=0.1, until_s=2.0, request_bytes=70, response_bytes=13_300)
    requests_of(topo, plan)      # [Request(client=0, at_s=..., response_s=...), ...]: send time and response time

The asymptotic bounds of operational analysis are tight only far below and far above the knee, the number of clients at
which the bounds cross. Near the knee, requests queue although the link has spare capacity. With a constant think time,
a closed network has no product-form solution, and mean value analysis would be an approximation; this module simulates
the system exactly, by discrete events. All parameters come from the configuration, none from a measurement. As in the
emulated network, a client opens a connection, waits for its first think time, and then sends requests until `until_s`.
The server answers a request when it has received all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mininet.topo import Topo

from lab7.experiments.harness.pathmodel.events import Application, Clock
from lab7.experiments.harness.pathmodel.links import NS
from lab7.experiments.harness.pathmodel.network import Network
from lab7.experiments.harness.pathmodel.tcp import Connection, Options


@dataclass(frozen=True)
class Client:
    """Simulated client: its host, and the think time in s before its first request."""

    host: str
    first_think_s: float


@dataclass(frozen=True)
class Plan:
    """Workload of the simulation: clients of one server, rate of its link, think time, sizes of request and response.

    No request starts after `until_s` seconds.
    """

    clients: Sequence[Client]
    server: str
    rate_bps: float
    think_s: float
    until_s: float
    request_bytes: int
    response_bytes: int


@dataclass(frozen=True)
class Request:
    """Simulated request: client number, send time in s since the start of the clients, and response time in s."""

    client: int
    at_s: float
    response_s: float


def requests_of(topo: Topo, plan: Plan, options: Options | None = None) -> list[Request]:
    """Simulate the workload on a topology; return every request, in the order of the responses."""
    clock, requests = Clock(), list[Request]()
    network = Network(topo, clock)
    for number, client in enumerate(plan.clients):
        routes = network.route(client.host, plan.server), network.route(plan.server, client.host)
        connection = Connection(clock, *routes, options)
        clock.start(_serve(connection, plan))
        clock.start(_ask(clock, connection, plan, number, requests))
    clock.run()
    return requests


def _ask(clock: Clock, connection: Connection, plan: Plan, number: int, requests: list[Request]) -> Application:
    end, until_ns, received = connection.client, round(plan.until_s * NS), 0
    yield connection.connect()
    yield clock.after(round(plan.clients[number].first_think_s * NS))
    while clock.now_ns < until_ns:
        at_ns = clock.now_ns
        end.write(plan.request_bytes)
        received += plan.response_bytes
        yield end.received(received)
        requests.append(Request(number, at_ns / NS, (clock.now_ns - at_ns) / NS))
        yield clock.after(round(plan.think_s * NS))
    end.close()


def _serve(connection: Connection, plan: Plan) -> Application:
    end, received = connection.server, 0
    while True:
        received += plan.request_bytes
        yield end.received(received)
        end.write(plan.response_bytes)
