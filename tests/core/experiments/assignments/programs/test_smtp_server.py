"""The stages of smtp-server: a right server passes all, and a bug fails exactly one stage, whose message names it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab7.experiments.assignments.catalogue.smtp_server.exercise import (
    ADDRESS,
    AT_CLIENT,
    AT_NEXT,
    NEXT_ADDRESS,
    decide,
)
from lab7.experiments.assignments.catalogue.smtp_server.plan import plan_of
from lab7.experiments.assignments.grade import QuestionGrade
from lab7.experiments.assignments.programs.definition import find_program_assignment
from lab7.experiments.assignments.programs.peers.next_hop import Session
from lab7.experiments.assignments.programs.stages import Evidence, decide_stages
from tests.core.experiments.harness.wire import START_NS, Tcp, Wire, capture_of
from tests.kernel.assignments.programs.bug import Bug
from tests.kernel.assignments.programs.smtp_bugs import BUGS, SERVER

RIGHT = SERVER.read_text()
PORT = 25


@dataclass
class Network:
    """The wires of client and next hop with one clock, and what the next hop knows."""

    client: Wire = field(default_factory=Wire)
    next: Wire = field(default_factory=Wire)
    first_try_s: dict[str, float] = field(default_factory=dict)
    connections: int = 0

    @property
    def now_s(self) -> float:
        return START_NS / 1e9 + self.client.now_ms / 1000

    def after(self, milliseconds: float) -> None:
        self.client.after(milliseconds)
        self.next.now_ms = self.client.now_ms

    def open(self, wire: Wire, client: str, server: str) -> Tcp:
        self.connections += 1
        self.after(1)
        tcp = Tcp(wire, 40000 + self.connections, PORT, client_address=client, server_address=server).open(0)
        self.after(1)
        return tcp


class FromClient:
    """The server's end of a client's connection, whose client sends each piece after a silence."""

    def __init__(self, network: Network, pieces: tuple[bytes, ...]) -> None:
        self.network, self.pieces = network, list(pieces[1:])
        self.tcp = network.open(network.client, "10.59.0.1", ADDRESS)

    def recv(self, _size: int) -> bytes:
        if not self.pieces:
            return b""
        self.network.after(1000)
        octets = self.pieces.pop(0)
        for at in range(0, len(octets), 1400):
            self.tcp.client("PA", octets[at : at + 1400])
        self.network.after(1)
        return octets

    def sendall(self, octets: bytes) -> None:
        self.tcp.server("PA", octets)
        self.network.after(1)

    def __enter__(self) -> FromClient:
        return self

    def __exit__(self, *_error: object) -> None:
        self.tcp.close()
        self.network.after(1)


class ToNext:
    """The server's connection to its next hop."""

    def __init__(self, network: Network) -> None:
        self.network, self.session, self.data = network, Session(network.first_try_s), b""
        self.tcp = network.open(network.next, ADDRESS, NEXT_ADDRESS)
        self.replies = [b"220 next.example.net ESMTP\r\n"]
        self.tcp.server("PA", self.replies[0])

    def sendall(self, octets: bytes) -> None:
        self.network.after(1)
        for at in range(0, len(octets), 1400):
            self.tcp.client("PA", octets[at : at + 1400])
        self.data += octets
        while b"\r\n" in self.data:
            line, _, self.data = self.data.partition(b"\r\n")
            if answer := self.session.reply(line.decode("latin-1"), self.network.now_s):
                self.network.after(1)
                self.replies.append(f"{answer}\r\n".encode())
                self.tcp.server("PA", self.replies[-1])

    def recv(self, _size: int) -> bytes:
        return self.replies.pop(0) if self.replies else b""

    def __enter__(self) -> ToNext:
        return self

    def __exit__(self, *_error: object) -> None:
        self.network.after(1)
        self.tcp.close()


def stages(program: str, folder: Path, seed: int = 1, which: str = "all") -> tuple[QuestionGrade, ...]:
    """Return the grades of a server's source, whose last line starts it; its queue runs between the sessions."""
    plan, network = plan_of(seed, which), Network()
    (folder / "spool").mkdir()

    def start() -> tuple[dict[str, Any], Any]:
        scope: dict[str, Any] = {"__name__": "server"}
        exec(compile(program[: program.rindex("main()")], "server.py", "exec", dont_inherit=True), scope)
        scope["time"] = SimpleNamespace(time=lambda: network.now_s, time_ns=lambda: int(network.now_s * 1e9))
        scope["connect"] = lambda _host, _port: ToNext(network)
        return scope, scope["Queue"](folder / "spool", NEXT_ADDRESS, PORT)

    scope, queue = start()
    for case in plan.cases:
        network.after(1000)
        scope["serve"](FromClient(network, case.pieces), queue)
        queue.flush()
        if case.restarts:
            scope, queue = start()
            for _ in range(10):
                network.after(5000)
                queue.flush()
    captured = capture_of({AT_CLIENT: network.client.packets, AT_NEXT: network.next.packets}, folder)
    verdicts = {one.id: one for one in decide(captured, plan)}
    return decide_stages(find_program_assignment("smtp-server").stages, Evidence(verdicts))


@pytest.mark.parametrize("seed", range(1, 4))
def test_the_right_server_passes_all_stages(seed: int, tmp_path: Path) -> None:
    assert [one.feedback for one in stages(RIGHT, tmp_path, seed)] == ["passed"] * 8


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
