"""Claims decided from a capture alone: what it shows, what contradicts it, and what is left undecided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lab7.experiments.analysis.capture_claims import DECIDERS, LACKING, decide_claims
from lab7.experiments.analysis.cli import judge_command
from lab7.experiments.harness.claims import load_claims
from lab7.experiments.harness.judge.frames import CaptureFile
from tests.core.experiments.dns.dns_wire import Net, a
from tests.core.experiments.ftp.ftp_wire import FtpWire
from tests.core.experiments.harness.wire import Tcp, Wire, request, response
from tests.core.experiments.mail.smtp_wire import SmtpWire, whole

DATA = bytes(range(256)) * 9
BIG = [a("big.example.com", f"10.0.9.{number}") for number in range(1, 60)]


def decided(captured: CaptureFile) -> dict[str, str]:
    """Return the verdicts that are not undecided."""
    return {one.id: one.verdict for one in decide_claims(captured) if one.verdict != "undecided"}


def test_every_claim_is_decided_or_lacks_something() -> None:
    assert sorted([*DECIDERS, *LACKING]) == sorted(load_claims())


def http(answer: bytes) -> Wire:
    wire = Wire()
    Tcp(wire).open().client("PA", request("/", "1.1")).server("PA", answer).client("FA")
    return wire


def test_http_is_decided_by_its_messages(tmp_path: Path) -> None:
    assert decided(http(response(version="1.1")).capture(tmp_path)) == dict.fromkeys(("H1", "H2", "H3"), "shown")


def test_a_malformed_response_fails_a_claim_and_the_command(tmp_path: Path) -> None:
    assert decided(http(b"HTTP/1.1 OK 200\r\n\r\n").capture(tmp_path))["H3"] == "failed"
    words = [str(tmp_path / "capture.pcapng"), "--claims", "--json"]
    done = CliRunner().invoke(judge_command, words)
    assert done.exit_code == 1
    data = json.loads(done.output)
    assert {one["id"] for one in data["claims"] if one["verdict"] == "failed"} >= {"H3"}
    assert data["lacking"] == LACKING


def test_modes_of_ftp_are_decided_from_the_sessions_in_them(tmp_path: Path) -> None:
    passive = FtpWire().log_in().passive("RETR a", DATA).quit()
    passive.traffic(tmp_path)
    assert decided(passive.wire.capture(tmp_path)) == {"F1": "shown", "F7": "shown"}
    active = FtpWire().log_in().active("RETR a", DATA).quit()
    assert decided(active.wire.capture(tmp_path)) == {"F1": "shown", "F6": "shown"}
    both = FtpWire().log_in().passive("RETR a", DATA).active("RETR a", DATA).quit()
    assert decided(both.wire.capture(tmp_path)) == {"F1": "shown"}


def test_smtp_is_decided_between_servers(tmp_path: Path) -> None:
    assert decided(whole().wire.capture(tmp_path)) == {"S4": "shown"}
    several = SmtpWire().begin().hello().message().message().quit()
    assert decided(several.wire.capture(tmp_path)) == {"S4": "shown", "S7": "shown"}
    assert decided(SmtpWire().begin().hello().quit().wire.capture(tmp_path)) == {}


@pytest.mark.parametrize(("by_tcp", "verdict"), [(True, {"D1": "shown"}), (False, {"D1": "failed"})])
def test_dns_over_tcp_follows_a_truncated_answer(by_tcp: bool, verdict: dict[str, str]) -> None:
    net = Net()
    net.ask("client", "local", "www.example.com", answer=[a("www.example.com", "10.0.9.9")])
    net.after(5).ask("client", "local", "big.example.com", tc=1)
    if by_tcp:
        net.after(1).tcp("client", "local", "big.example.com", answer=BIG)
    assert decided(net.capture()) == verdict


def test_without_a_truncated_answer_nothing_is_said_of_dns() -> None:
    net = Net()
    net.ask("client", "local", "www.example.com", answer=[a("www.example.com", "10.0.9.9")])
    assert decided(net.capture()) == {}
