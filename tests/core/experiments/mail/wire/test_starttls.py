"""Sessions that become encrypted: what came before TLS is read, and no claim is decided on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.harness.judge.dialogue import DialogueTraffic
from lab7.experiments.harness.judge.verdict import decide
from tests.core.experiments.harness.wire import Tcp
from tests.core.experiments.mail.mailbox_wire import ImapWire, Pop3Wire
from tests.core.experiments.mail.smtp_wire import SmtpWire

# TLS records: a handshake, with CR LF within, and application data.
CLIENT_HELLO, SERVER_HELLO = b"\x16\x03\x01\x00\x05\x01\r\nab", b"\x16\x03\x03\x00\x06\x02\r\n.\r\n"


def encrypt(tcp: Tcp) -> None:
    tcp.client("PA", CLIENT_HELLO).server("PA", SERVER_HELLO).client("PA", b"\x17\x03\x03\x00\x03a\r\n").close()


def smtp(folder: Path, accepted: bool) -> DialogueTraffic:  # type: ignore[type-arg]
    wire = SmtpWire().begin().hello().say("STARTTLS", 220 if accepted else 454)
    encrypt(wire.tcp)
    return wire.traffic(folder)


def pop3(folder: Path, accepted: bool) -> DialogueTraffic:  # type: ignore[type-arg]
    wire = Pop3Wire().begin().say("CAPA", b"+OK", b"STLS\r\n").say("STLS", b"+OK" if accepted else b"-ERR no")
    encrypt(wire.tcp)
    return wire.traffic(folder)


def imap(folder: Path, accepted: bool) -> DialogueTraffic:  # type: ignore[type-arg]
    wire = ImapWire().begin().say("CAPABILITY", b"CAPABILITY IMAP4rev1")
    wire.say("STARTTLS", status="OK" if accepted else "NO")
    encrypt(wire.tcp)
    return wire.traffic(folder)


@pytest.mark.parametrize("protocol", [smtp, pop3, imap])
def test_a_session_is_read_up_to_tls_and_decides_nothing(tmp_path: Path, protocol: object) -> None:
    traffic = protocol(tmp_path, accepted=True)  # type: ignore[operator]
    (session,) = traffic.sessions
    assert session.problem is None
    assert session.exchanges[-1].verb in ("STARTTLS", "STLS")
    assert len(session.exchanges) == 2
    verdict = decide("X1", [traffic], lambda: ("shown", []))
    assert verdict.verdict == "undecided"
    assert f"opened in frame 1 is encrypted after frame {session.encrypted}" in verdict.evidence


@pytest.mark.parametrize("protocol", [smtp, pop3, imap])
def test_octets_of_tls_after_a_refusal_break_the_grammar(tmp_path: Path, protocol: object) -> None:
    traffic = protocol(tmp_path, accepted=False)  # type: ignore[operator]
    assert decide("X1", [traffic], lambda: ("shown", [])).verdict == "failed"
