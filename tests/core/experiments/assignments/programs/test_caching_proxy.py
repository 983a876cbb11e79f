"""The stages of caching-proxy: a right proxy passes all, and a bug fails exactly one stage, whose message names it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab7.experiments.assignments.catalogue.caching_proxy.exercise import (
    AT_CLIENT,
    AT_ORIGIN,
    ORIGIN_ADDRESS,
    PORT,
    PROXY_ADDRESS,
    decide,
)
from lab7.experiments.assignments.catalogue.caching_proxy.plan import plan_of
from lab7.experiments.assignments.grade import QuestionGrade
from lab7.experiments.assignments.programs.definition import find_program_assignment
from lab7.experiments.assignments.programs.peers.origin import Script, read_request, response
from lab7.experiments.assignments.programs.stages import Evidence, decide_stages
from tests.core.experiments.harness.wire import START_NS, Tcp, Wire, capture_of
from tests.kernel.assignments.programs.bug import Bug
from tests.kernel.assignments.programs.proxy_bugs import BUGS, SERVER

RIGHT = SERVER.read_text()


@dataclass
class Network:
    """The wires of client and origin with one clock, and the script of the origin."""

    script: Script
    client: Wire = field(default_factory=Wire)
    origin: Wire = field(default_factory=Wire)
    connections: int = 0

    @property
    def now_s(self) -> float:
        return START_NS / 1e9 + self.client.now_ms / 1000

    def after(self, milliseconds: float) -> None:
        self.client.after(milliseconds)
        self.origin.now_ms = self.client.now_ms


class FromClient:
    """The proxy's end of a client's connection."""

    def __init__(self, network: Network, octets: bytes) -> None:
        self.network, self.octets = network, [octets, b""]
        network.connections += 1
        self.tcp = Tcp(
            network.client,
            40000 + network.connections,
            PORT,
            client_address="10.58.0.1",
            server_address=PROXY_ADDRESS,
        ).open(10)
        network.after(1)
        self.tcp.client("PA", octets)

    def recv(self, _size: int) -> bytes:
        return self.octets.pop(0)

    def sendall(self, octets: bytes) -> None:
        for at in range(0, len(octets), 1400):
            self.tcp.server("PA", octets[at : at + 1400])
        self.network.after(1)

    def __enter__(self) -> FromClient:
        return self

    def __exit__(self, *_error: object) -> None:
        self.tcp.close()
        self.network.after(1)


class ToOrigin:
    """The proxy's connection to the origin, which answers by its script."""

    def __init__(self, network: Network) -> None:
        self.network, self.sent, self.answers = network, b"", list[bytes]()
        network.connections += 1
        network.after(1)
        self.tcp = Tcp(
            network.origin, 40000 + network.connections, client_address=PROXY_ADDRESS, server_address=ORIGIN_ADDRESS
        ).open(0)

    def sendall(self, octets: bytes) -> None:
        self.tcp.client("PA", octets)
        self.network.after(1)
        feed = SimpleNamespace(recv=lambda _size: b"")
        found = read_request(feed, octets)  # type: ignore[arg-type]
        assert found is not None
        step = self.network.script.next(found[0])
        if step.get("fails"):
            return
        answer, closes = response(found[0], step, formatdate(self.network.now_s, usegmt=True))
        for at in range(0, len(answer), 1400):
            self.tcp.server("PA", answer[at : at + 1400])
        assert closes
        self.answers.append(answer)

    def recv(self, _size: int) -> bytes:
        return self.answers.pop(0) if self.answers else b""

    def __enter__(self) -> ToOrigin:
        return self

    def __exit__(self, *_error: object) -> None:
        self.tcp.close()
        self.network.after(1)


def stages(program: str, folder: Path, seed: int = 1, which: str = "all") -> tuple[QuestionGrade, ...]:
    """Return the grades of a proxy's source, whose last line starts it, by its class `Proxy`."""
    scope: dict[str, Any] = {"__name__": "proxy"}
    plan = plan_of(seed, which)
    network = Network(Script(json.loads(json.dumps(plan.script))))
    exec(compile(program[: program.rindex("main()")], "proxy.py", "exec", dont_inherit=True), scope)
    scope["time"] = SimpleNamespace(time=lambda: network.now_s)
    scope["connect"] = lambda _host, _port: ToOrigin(network)
    proxy = scope["Proxy"]()
    for case in plan.cases:
        for ask in case.asks:
            network.after(1500 + ask.wait_s * 1000)
            proxy.serve(FromClient(network, ask.octets))
    captured = capture_of({AT_CLIENT: network.client.packets, AT_ORIGIN: network.origin.packets}, folder)
    verdicts = {one.id: one for one in decide(captured, plan)}
    return decide_stages(find_program_assignment("caching-proxy").stages, Evidence(verdicts))


@pytest.mark.parametrize("seed", range(1, 4))
def test_the_right_proxy_passes_all_stages(seed: int, tmp_path: Path) -> None:
    assert [one.feedback for one in stages(RIGHT, tmp_path, seed)] == ["passed"] * 9


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_fails_one_stage_with_its_message(bug: Bug, tmp_path: Path) -> None:
    which = "all" if bug.stage == "robustness" else "public"
    wrong = {
        one.question: one.feedback
        for one in stages(bug.program(RIGHT), tmp_path, which=which)
        if one.feedback != "passed" and not one.feedback.startswith("not opened")
    }
    assert list(wrong) == [bug.stage]
    assert [part for part in bug.message if part not in wrong[bug.stage]] == []
    assert "Frame " in wrong[bug.stage]
    assert "Octets: " in wrong[bug.stage]
