"""Authentication-Results fields, the decision on a message, and the removal of forged fields."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from lab7.services.mail.address import Mailbox
from lab7.services.mail.authentication.authentication_results import (
    Findings,
    is_quarantined,
    results_field,
    without_results,
)
from lab7.services.mail.authentication.dkim.keys import generate
from lab7.services.mail.authentication.dkim.signature_field import ED25519, format_key_record
from lab7.services.mail.authentication.dkim.signer import SigningKey, sign
from lab7.services.mail.authentication.inbound import (
    MULTIPLE_AUTHORS,
    NO_LOOKUP,
    Checks,
    Decision,
    Mode,
    Sender,
    authenticate,
)
from lab7.services.mail.authentication.spf.check import Outcome
from lab7.services.mail.authentication.spf.record import Result
from tests.core.services.mail.authentication.records import Records

OWN = "mx.example.com"
LETTER = b"From: Alice <alice@example.org>\r\nTo: bob@example.com\r\nSubject: Hello\r\n\r\nHi Bob.\r\n"
KEY = generate(ED25519)
ZONE = f"""
example.org. TXT "v=spf1 ip4:192.0.2.25 -all"
_dmarc.example.org. TXT "v=DMARC1; p=reject"
s1._domainkey.example.org. TXT "{format_key_record("ed25519", KEY.public_octets())}"
"""
ENFORCED = Checks(dmarc=Mode.ENFORCE)
SIGNED = sign(LETTER, SigningKey("s1", "example.org", KEY), 1000.0) + LETTER
ALICE = Mailbox("alice", "example.org")
MALLORY, SERVER = "203.0.113.66", "192.0.2.25"


def decide(
    content: bytes, address: str, checks: Checks = ENFORCED, zone: str | Records = ZONE, path: Mailbox | None = ALICE
) -> Decision:
    records = Records(zone) if isinstance(zone, str) else zone
    return records.run(authenticate(content, Sender(address, "mail.example.org", path), checks, OWN, 1000.0, 0))


def text(decision: Decision) -> str:
    return " ".join(decision.field.decode().split())


def test_a_genuine_message_passes() -> None:
    decision = decide(SIGNED, SERVER)
    assert decision.reply is None
    assert text(decision).startswith(
        "Authentication-Results: mx.example.com; spf=pass smtp.mailfrom=example.org; "
        "dkim=pass header.d=example.org header.s=s1 header.b="
    )
    assert text(decision).endswith("; dmarc=pass (p=reject) header.from=example.org")


def test_a_forged_message_is_rejected() -> None:
    decision = decide(LETTER, MALLORY)
    assert str(decision.reply) == "550 5.7.1 Rejected by the DMARC policy of example.org"
    assert "spf=fail" in text(decision)
    assert "dkim=none" in text(decision)
    assert "dmarc=fail (p=reject)" in text(decision)


def test_a_forwarded_message_passes_by_its_signature() -> None:
    decision = decide(SIGNED, MALLORY)
    assert (decision.reply, decision.summary) == (
        None,
        {"spf": "fail", "dkim": "pass", "dmarc": "pass", "applied": "none"},
    )


def test_an_altered_message_is_rejected_unless_spf_passes() -> None:
    altered = SIGNED.replace(b"Hi Bob", b"Hi Rob")
    assert decide(altered, MALLORY).reply is not None
    assert decide(altered, SERVER).summary["dmarc"] == "pass"


def test_a_spf_pass_of_another_domain_is_no_alibi() -> None:
    """The envelope is Mallory's own, and passes; From is Alice's."""
    zone = ZONE + 'example.net. TXT "v=spf1 ip4:203.0.113.66 -all"\n'
    decision = decide(LETTER, MALLORY, zone=zone, path=Mailbox("m", "example.net"))
    assert decision.summary == {"spf": "pass", "dkim": "none", "dmarc": "fail", "applied": "reject"}


@pytest.mark.parametrize(("mode", "rejected"), [(Mode.CHECK, False), (Mode.ENFORCE, True)])
def test_check_records_and_enforce_rejects(mode: Mode, rejected: bool) -> None:
    assert (decide(LETTER, MALLORY, Checks(dmarc=mode)).reply is not None) is rejected
    assert (decide(LETTER, MALLORY, Checks(spf=mode)).reply is not None) is rejected


def test_the_reply_to_a_spf_fail_has_the_explanation_of_the_domain() -> None:
    zone = 'example.org. TXT "v=spf1 exp=why.example.org -all"\nwhy.example.org. TXT "ask %{i}"\n'
    reply = decide(LETTER, MALLORY, Checks(spf=Mode.ENFORCE), zone).reply
    assert reply is not None
    assert (reply.code, reply.enhanced) == (550, "5.7.23")
    assert reply.lines[1:] == ["The domain example.org explains:", "ask 203.0.113.66"]


def test_the_null_reverse_path_is_checked_by_the_hello_name() -> None:
    zone = ZONE + 'mail.example.org. TXT "v=spf1 ip4:192.0.2.25 -all"\n'
    decision = decide(LETTER, SERVER, Checks(spf=Mode.CHECK), zone, None)
    assert text(decision) == "Authentication-Results: mx.example.com; spf=pass smtp.helo=mail.example.org"


def test_quarantine_is_accepted_and_marked() -> None:
    zone = ZONE.replace("p=reject", "p=quarantine")
    decision = decide(LETTER, MALLORY, zone=zone)
    assert decision.reply is None
    assert is_quarantined(decision.field + LETTER, OWN)
    assert not is_quarantined(decision.field + LETTER, "other.example.com")
    assert not is_quarantined(decide(SIGNED, MALLORY, zone=zone).field + LETTER, OWN)


def test_a_message_that_names_two_authors_is_rejected() -> None:
    double = b"From: eve@example.net\r\n" + LETTER
    assert decide(double, MALLORY).reply == MULTIPLE_AUTHORS
    assert decide(double, MALLORY, Checks(dmarc=Mode.CHECK)).reply is None


def test_without_an_answer_of_the_name_servers_the_message_comes_later() -> None:
    for name in ("_dmarc.example.org.", "s1._domainkey.example.org.", "example.org."):
        content = SIGNED if "domainkey" in name else LETTER
        assert decide(content, MALLORY, zone=Records(ZONE, failing=(name,))).reply == NO_LOOKUP
    # Where one method passes, the other is not needed.
    assert decide(SIGNED, SERVER, zone=Records(ZONE, silent=("example.org.",))).reply is None


def test_values_are_quoted_where_the_grammar_asks() -> None:
    findings = Findings(Outcome(Result.PERMERROR, 'ex"am(ple.org', "odd (reason) \\ \x01"))
    field = results_field(OWN, findings)
    assert field == (
        b'Authentication-Results: mx.example.com;\r\n\tspf=permerror (odd reason  ) smtp.mailfrom="ex\\"am(ple.org"\r\n'
    )
    assert results_field(OWN, Findings()) == b"Authentication-Results: mx.example.com;\r\n\tnone\r\n"


@pytest.mark.parametrize(
    "forged",
    [
        b"Authentication-Results: mx.example.com; dmarc=pass\r\n",
        b"authentication-results:MX.Example.COM;\r\n dmarc=pass\r\n",
        b"Authentication-Results : (a (b) comment) mx.example.com 1; none\r\n",
        b'Authentication-Results: "mx.example.com"; none\r\n',
        b'Authentication-Results: "mx\\.example.com"; none\r\n',
        b"Authentication-Results: mx.example.com(x); none\r\n",
        b"Authentication-Results:\r\n mx.example.com; none\r\n",
        b"Authentication-Results:\r\n",
    ],
)
def test_fields_in_the_name_of_this_server_are_removed(forged: bytes) -> None:
    others = (
        b"Authentication-Results: mx.example.net; dmarc=pass\r\nX-Note: Authentication-Results: mx.example.com; x\r\n"
    )
    content = others + forged + LETTER + b"Authentication-Results: mx.example.com; in the body\r\n"
    cleaned = without_results(content, OWN)
    assert cleaned == others + LETTER + b"Authentication-Results: mx.example.com; in the body\r\n"
    assert len(message_from_bytes(cleaned, policy=policy.default).get_all("Authentication-Results", [])) == 1


def test_a_message_without_such_fields_stays_as_it_is() -> None:
    for content in (LETTER, b"", b"\r\nbody", b"no header", b"From: a\r\n"):
        assert without_results(content, OWN) == content
