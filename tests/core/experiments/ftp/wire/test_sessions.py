"""FTP sessions that become encrypted by AUTH TLS: what came before is read, and no claim is decided on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.harness.judge.verdict import decide
from tests.core.experiments.ftp.ftp_wire import FtpWire

CLIENT_HELLO, SERVER_HELLO = b"\x16\x03\x01\x00\x05\x01\r\nab", b"\x16\x03\x03\x00\x04\x02\r\nab"


def auth(mechanism: str, code: int) -> FtpWire:
    wire = FtpWire().begin().say(f"AUTH {mechanism}", code, text="said")
    wire.control.client("PA", CLIENT_HELLO).server("PA", SERVER_HELLO).client("PA", b"\x17\x03\r\n").close()
    return wire


@pytest.mark.parametrize("mechanism", ["TLS", "tls", "TLS-C", "SSL"])
def test_a_session_is_read_up_to_tls_and_decides_nothing(tmp_path: Path, mechanism: str) -> None:
    traffic = auth(mechanism, 234).traffic(tmp_path)
    (session,) = traffic.sessions
    assert session.problem is None
    assert [exchange.verb for exchange in session.exchanges] == ["AUTH"]
    verdict = decide("X1", [traffic], lambda: ("shown", []))
    assert verdict.verdict == "undecided"
    assert f"opened in frame 1 is encrypted after frame {session.encrypted}" in verdict.evidence


@pytest.mark.parametrize(("mechanism", "code"), [("TLS", 534), ("GSSAPI", 234)])
def test_octets_of_tls_without_auth_tls_break_the_grammar(tmp_path: Path, mechanism: str, code: int) -> None:
    assert decide("X1", [auth(mechanism, code).traffic(tmp_path)], lambda: ("shown", [])).verdict == "failed"
