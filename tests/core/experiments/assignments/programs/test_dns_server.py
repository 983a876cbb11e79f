"""The stages of dns-server: a right server passes all, and a bug fails exactly one stage, whose message names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from lab7.experiments.assignments.catalogue.dns_server.exercise import ADDRESS, cases_of, decide, draw_names
from lab7.experiments.assignments.grade import QuestionGrade
from lab7.experiments.assignments.programs.definition import find_program_assignment
from lab7.experiments.assignments.programs.stages import Evidence, decide_stages
from tests.core.experiments.harness.wire import Tcp, Wire
from tests.kernel.assignments.programs.bug import Bug
from tests.kernel.assignments.programs.dns_bugs import BUGS, SERVER

RIGHT = SERVER.read_text()
CLIENT = "10.54.0.1"


def datagram(wire: Wire, source: str, target: str, sport: int, dport: int, payload: bytes) -> None:
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src=source, dst=target)
    wire.after(5).add(frame / UDP(sport=sport, dport=dport) / payload)


def stages(program: str, folder: Path, seed: int = 1) -> tuple[QuestionGrade, ...]:
    """Return the grades of a server's source, whose last line starts it, by its function `respond`."""
    scope: dict[str, Any] = {"__name__": "server"}
    exec(program[: program.rindex("main()")], scope)
    names, wire = draw_names(seed), Wire()
    server = scope["Server"](names.master_file)
    for number, case in enumerate(cases_of(names, "all")):
        if case.tcp:
            tcp = Tcp(wire, 40000 + number, 53, client_address=CLIENT, server_address=ADDRESS).open(10)
            for octets in case.sends:
                tcp.client("PA", octets)
                wire.after(3000)
            response = server.respond(b"".join(case.sends)[2:], True)
            tcp.server("PA", len(response).to_bytes(2, "big") + response)
            wire.after(10)
            continue
        for octets in case.sends:
            datagram(wire, CLIENT, ADDRESS, 40000 + number, 53, octets)
            if len(octets) > 12:
                datagram(wire, ADDRESS, CLIENT, 53, 40000 + number, server.respond(octets, False))
    verdicts = {one.id: one for one in decide(wire.capture(folder), names, "all")}
    return decide_stages(find_program_assignment("dns-server").stages, Evidence(verdicts))


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_right_server_passes_all_stages(seed: int, tmp_path: Path) -> None:
    assert [one.feedback for one in stages(RIGHT, tmp_path, seed)] == ["passed"] * 8


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_fails_one_stage_with_its_message(bug: Bug, tmp_path: Path) -> None:
    found = stages(bug.program(RIGHT), tmp_path)
    wrong = {
        one.question: one.feedback
        for one in found
        if one.feedback != "passed" and not one.feedback.startswith("not opened")
    }
    assert list(wrong) == [bug.stage]
    assert [part for part in bug.message if part not in wrong[bug.stage]] == []
    assert "Frame " in wrong[bug.stage]
    assert "Octets: " in wrong[bug.stage]
