"""The same records and messages judged by pyspf and dkimpy, which nobody here wrote."""

from __future__ import annotations

import re
from typing import Any

import dkim
import pytest
import spf

from lab7.services.dns.codec.codes import type_from_text
from lab7.services.dns.codec.name import Name
from lab7.services.mail.authentication.dkim.canonicalization import RELAXED, SIMPLE
from lab7.services.mail.authentication.dkim.keys import generate
from lab7.services.mail.authentication.dkim.signature_field import ED25519, RSA, format_key_record
from lab7.services.mail.authentication.dkim.signer import SigningKey, sign
from lab7.services.mail.authentication.dkim.verifier import verify_all
from lab7.services.mail.authentication.spf.check import Client, check, client_address
from lab7.services.mail.delivery.routes import Lookup
from tests.core.services.mail.authentication.records import Records
from tests.core.services.mail.authentication.test_spf import APPENDIX

SPF_RECORDS = [
    "v=spf1 -all",
    "v=spf1 a -all",
    "v=spf1 mx/30 ~all",
    "v=spf1 ptr ?all",
    "v=spf1 a:amy.example.com ip4:192.0.2.128/28 -all",
    "v=spf1 ip6:2001:db8::/32 a:missing.example.com -all",
    "v=spf1 exists:%{l1r-}.mobile-users._spf.%{d} -all",
    "v=spf1 exists:%{ir}.%{l1r+-}.remote-users._spf.%{d} -all",
    "v=spf1 include:third.example.net -all",
    "v=spf1 include:missing.example.net -all",
    "v=spf1 redirect=third.example.net",
    "v=spf1 redirect=missing.example.net",
    "v=spf1 a:m1.example.com a:m2.example.com a:m3.example.com -all",
    "v=spf1 include:loop.example.net -all",
    "v=spf1 a:localhost -all",
    "v=spf1 foo -all",
    "v=spf1 a mx mx:example.org ptr unknown=%{d} ~all",
]
ZONE = (
    APPENDIX
    + 'third.example.net. TXT "v=spf1 ip4:192.0.2.10 mx:example.org -all"\n'
    + 'loop.example.net. TXT "v=spf1 include:loop.example.net -all"\n'
)
ADDRESSES = ["192.0.2.10", "192.0.2.65", "192.0.2.131", "192.0.2.140", "192.168.15.15", "2001:db8::1", "203.0.113.9"]
LETTER = (
    b"From: a@example.org\r\nSubject: a  folded\r\n subject \r\nTo: b@example.com\r\n\r\n"
    b"Hi  there \r\n\r\nB\t\r\n\r\n\r\n"
)


def pyspf_lookup(records: Records) -> Any:
    def look_up(name: str, qtype: str, *_: Any, **__: Any) -> list[Any]:
        lookup = Lookup(Name.from_text(name.rstrip(".") + "."), type_from_text(qtype))
        message = records.answer(lookup).message
        assert message is not None
        found: list[Any] = []
        for record in message.answers:
            value: Any = record.rdata.to_text()
            if qtype == "TXT":
                value = tuple(string.encode() for string in re.findall(r'"([^"]*)"', value))
            elif qtype == "MX":
                preference, exchange = value.split()
                value = (int(preference), exchange.rstrip("."))
            elif qtype in ("A", "AAAA", "PTR"):
                value = value.rstrip(".")
            found.append(((name, qtype), value))
        return found

    return look_up


@pytest.mark.parametrize("record", SPF_RECORDS)
@pytest.mark.parametrize("sender", ["mary@example.com", "joel@example.com"])
def test_pyspf_has_the_same_results(monkeypatch: pytest.MonkeyPatch, record: str, sender: str) -> None:
    zone = f'example.com. TXT "{record}"\n{ZONE}'
    monkeypatch.setattr(spf, "DNSLookup", pyspf_lookup(Records(zone)))
    local_part, _, domain = sender.partition("@")
    for address in ADDRESSES:
        theirs = spf.query(i=address, s=sender, h="mail.example.net", timeout=0).check()[0]
        ours = Records(zone).run(check(Client(client_address(address), "mail.example.net"), local_part, domain))
        assert (address, ours.result.value) == (address, theirs)


@pytest.mark.parametrize("algorithm", [RSA, ED25519])
@pytest.mark.parametrize("header_method", [SIMPLE, RELAXED])
@pytest.mark.parametrize("body_method", [SIMPLE, RELAXED])
@pytest.mark.parametrize("with_length", [False, True])
def test_dkimpy_verifies_what_is_signed(
    algorithm: str, header_method: str, body_method: str, with_length: bool
) -> None:
    key = generate(algorithm)
    signing = SigningKey("s1", "example.org", key, header_method, body_method, None, with_length)
    record = format_key_record(algorithm.partition("-")[0], key.public_octets()).encode()
    content = sign(LETTER, signing, 1000.0) + LETTER
    assert dkim.verify(content, dnsfunc=lambda *_, **__: record)
    assert not dkim.verify(content.replace(b"there", b"where"), dnsfunc=lambda *_, **__: record)


@pytest.mark.parametrize("header_method", [SIMPLE, RELAXED])
@pytest.mark.parametrize("body_method", [SIMPLE, RELAXED])
@pytest.mark.parametrize("length", [False, True])
def test_what_dkimpy_signs_verifies(header_method: str, body_method: str, length: bool) -> None:
    key = generate(RSA)
    methods = (header_method.encode(), body_method.encode())
    field = dkim.sign(LETTER, b"s1", b"example.org", key.pem(), canonicalize=methods, length=length)
    text = format_key_record("rsa", key.public_octets())
    zone = f's1._domainkey.example.org. TXT "{text[:200]}" "{text[200:]}"\n'
    for content, expected in ((field + LETTER, "pass"), (field + LETTER.replace(b"there", b"where"), "fail")):
        assert [one.result.value for one in Records(zone).run(verify_all(content, 4e9))] == [expected]
