"""The worked example's judge, on captures made by hand: each of its claims shown, failed and undecided."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import time_judge
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from lab7.experiments.harness.judge.frames import Frame
from lab7.experiments.harness.judge.verdict import Verdict
from tests.core.experiments.harness.wire import CLIENT, INTERFACE, SERVER, START_NS, Tcp, Wire

Judge = Callable[[tuple[Frame, ...]], Verdict]
RIGHT = (START_NS // 10**9 + 2_208_988_800).to_bytes(4, "big")
LATE = (START_NS // 10**9 + 2_208_988_800 - 60).to_bytes(4, "big")


def datagram(wire: Wire, payload: bytes, to_server: bool) -> None:
    ends = (CLIENT, SERVER, 40000, 37) if to_server else (SERVER, CLIENT, 37, 40000)
    udp = IP(src=ends[0], dst=ends[1]) / UDP(sport=ends[2], dport=ends[3]) / payload
    wire.add(bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / udp).ljust(60, b"\0"))


def by_udp(question: bytes, answer: bytes | None) -> Wire:
    wire = Wire()
    datagram(wire, question, to_server=True)
    if answer is not None:
        wire.after(40.0)
        datagram(wire, answer, to_server=False)
    return wire


def by_tcp(answer: bytes, *, said: bytes = b"", client_closes: bool = False, closes: bool = True) -> Wire:
    tcp = Tcp(Wire(), server_port=37).open()
    if said:
        tcp.client("PA", said)
    if client_closes:
        tcp.client("FA")
    tcp.wire.after(40.0)
    if answer:
        tcp.server("PA", answer)
    if closes:
        tcp.server("FA")
    return tcp.wire


@pytest.mark.parametrize(
    ("judge", "wire", "word", "evidence"),
    [
        (time_judge.t1, by_udp(b"", RIGHT), "shown", "right time in 4 octets"),
        (time_judge.t1, by_udp(b"", None), "failed", "no answer"),
        (time_judge.t1, by_udp(b"", RIGHT[:3]), "failed", "3 octets, not 4"),
        (time_judge.t1, by_udp(b"", b""), "failed", "0 octets, not 4"),
        (time_judge.t1, by_udp(b"", LATE), "failed", "60.0 s late"),
        (time_judge.t1, by_udp(b"x", RIGHT), "undecided", "1 octets"),
        (time_judge.t1, Wire(), "undecided", "Nobody asked"),
        (time_judge.t2, by_tcp(RIGHT), "shown", "right time and a FIN"),
        (time_judge.t2, by_tcp(RIGHT, said=b"x"), "failed", "client said 1 octets"),
        (time_judge.t2, by_tcp(b""), "failed", "server said nothing"),
        (time_judge.t2, by_tcp(RIGHT + b"x"), "failed", "5 octets, not 4"),
        (time_judge.t2, by_tcp(LATE), "failed", "s late"),
        (time_judge.t2, by_tcp(RIGHT, closes=False), "failed", "did not close first"),
        (time_judge.t2, by_tcp(RIGHT, client_closes=True), "failed", "did not close first"),
        (time_judge.t2, Wire(), "undecided", "Nobody asked"),
    ],
)
def test_a_verdict_is_what_the_packets_say(judge: Judge, wire: Wire, word: str, evidence: str, tmp_path: Path) -> None:
    verdict = judge(wire.capture(tmp_path).at(INTERFACE))
    assert (verdict.verdict, evidence in verdict.evidence) == (word, True), verdict.evidence


def test_a_wait_is_from_the_question_to_its_answer(tmp_path: Path) -> None:
    (asked,) = time_judge.by_udp(by_udp(b"", RIGHT).capture(tmp_path).at(INTERFACE))
    assert asked.duration_s == pytest.approx(0.04)
