"""DKIM: the example of RFC 8463, canonicalization, tags, key records, and what makes a signature fail."""

from __future__ import annotations

import base64
import sys
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.errors import ServiceError
from lab7.services.mail.authentication.dkim.canonicalization import (
    RELAXED,
    SIMPLE,
    BodyHashes,
    canonical_body,
    canonical_field,
    parse_message,
)
from lab7.services.mail.authentication.dkim.keys import PrivateKey, generate, load_private_key, require_cryptography
from lab7.services.mail.authentication.dkim.signature_field import (
    ED25519,
    RSA,
    KeyRecordError,
    SignatureError,
    format_key_record,
    parse_key_record,
    parse_signature,
)
from lab7.services.mail.authentication.dkim.signer import SigningKey, sign
from lab7.services.mail.authentication.dkim.verifier import SIGNATURES_MAX, Result, Verification, verify_all
from lab7.services.mail.authentication.tags import TagError, parse_tags
from tests.core.services.mail.authentication.records import Records

NOW_S = 1_528_637_909.0
LETTER = b"""\
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".replace(b"\n", b"\r\n")
# RFC 8463 appendix A.
SIGNATURES = b"""\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
""".replace(b"\n", b"\r\n")
KEYS = """
brisbane._domainkey.football.example.com. TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
test._domainkey.football.example.com. TXT "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR" (
  "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hst"
  "T5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB" )
"""


def verified(content: bytes, records: str | Records, now_s: float = NOW_S) -> list[Verification]:
    found = Records(records) if isinstance(records, str) else records
    return found.run(verify_all(content, now_s))


def results(content: bytes, records: str | Records, now_s: float = NOW_S) -> list[str]:
    return [one.result.value for one in verified(content, records, now_s)]


@cache
def key(algorithm: str) -> PrivateKey:
    return generate(algorithm, 1024)


def record(algorithm: str = ED25519, tags: str = "", name: str = "s1._domainkey.example.org.") -> str:
    text = format_key_record(algorithm.partition("-")[0], key(algorithm).public_octets())
    halves = f'"{text[:100]}" "{text[100:]}{tags}"'
    return f"{name} TXT {halves}\n"


def signed(content: bytes = LETTER, algorithm: str = ED25519, **options: object) -> bytes:
    return sign(content, SigningKey("s1", "example.org", key(algorithm), **options), NOW_S) + content  # type: ignore[arg-type]


def test_the_examples_of_rfc_8463_verify() -> None:
    assert results(SIGNATURES + LETTER, KEYS) == ["pass", "pass"]
    assert results(SIGNATURES + LETTER.replace(b"hungry", b"thirsty"), KEYS) == ["fail", "fail"]


@pytest.mark.parametrize("algorithm", [RSA, ED25519])
@pytest.mark.parametrize("header_method", [SIMPLE, RELAXED])
@pytest.mark.parametrize("body_method", [SIMPLE, RELAXED])
def test_what_is_signed_verifies(algorithm: str, header_method: str, body_method: str) -> None:
    content = signed(LETTER, algorithm, header_method=header_method, body_method=body_method)
    assert results(content, record(algorithm)) == ["pass"]
    # White space of a body and its amount: relaxed ignores it, simple does not.
    spaced = content.replace(b"the game.  Are", b"the game. Are ")
    assert results(spaced, record(algorithm)) == ["pass" if body_method == RELAXED else "fail"]
    folded = content.replace(b"Subject: Is dinner", b"subject:  Is\r\n\tdinner")
    assert results(folded, record(algorithm)) == ["pass" if header_method == RELAXED else "fail"]


@pytest.mark.parametrize(
    "change",
    [
        (b"Are you", b"Were you"),
        (b"Subject: Is", b"Subject: Isn't"),
        (b"From: Joe", b"From: Jane"),
        (b"From: Joe", b"From: Eve <eve@example.net>\r\nFrom: Joe"),
        (b"Joe.\r\n", b"Joe.\r\nSent from my telephone\r\n"),
        (b"t=1528637909", b"t=1528637908"),
        (b"d=example.org", b"d=example.org; i=eve@example.org"),
    ],
    ids=lambda change: change[1].decode()[:20],
)
def test_a_change_of_a_signed_part_fails(change: tuple[bytes, bytes]) -> None:
    content = signed()
    changed = content.replace(*change, 1)
    assert changed != content
    assert results(content, record()) == ["pass"]
    assert results(changed, record()) == ["fail"]


def test_trace_fields_may_be_added_on_the_way() -> None:
    trace = b"Received: from a by b; Fri, 11 Jul 2003 21:01:54 -0700\r\nX-Spam: no\r\n"
    assert results(trace + signed(), record()) == ["pass"]


def test_a_signature_with_a_length_permits_appended_text() -> None:
    content = signed(with_length=True)
    assert results(content, record()) == ["pass"]
    assert results(content + b"a footer\r\n", record()) == ["pass"]
    assert results(content.replace(b"Joe.\r\n", b""), record()) == ["fail"]
    assert b"l=" not in signed().partition(b"h=")[0]


def test_an_expired_signature_and_one_from_the_future_fail() -> None:
    content = signed(lifetime_s=3600)
    assert results(content, record(), NOW_S + 3599) == ["pass"]
    assert verified(content, record(), NOW_S + 3601)[0].reason == "signature expired"
    assert results(content, record(), NOW_S - 301) == ["fail"]
    assert results(content, record(), NOW_S - 299) == ["pass"]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", "pass"),
        ("; t=y; n=a note; s=*", "pass"),
        ("; h=sha1:sha256; s=email", "pass"),
        ("; h=sha1", "permerror"),
        ("; s=tlsrpt", "permerror"),
        ("; t=s", "pass"),
        ("; unknown=x", "pass"),
    ],
)
def test_the_tags_of_a_key_record_restrict_its_use(tags: str, expected: str) -> None:
    assert results(signed(), record(tags=tags)) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "v=DKIM1; k=ed25519; p=",
        "v=DKIM2; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=; v=DKIM1",
        "v=DKIM1; k=rsa; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        "v=DKIM1; k=ed25519; p=AAAA",
        "v=DKIM1; k=ed25519; p=!",
        "v=DKIM1; k=ed25519",
        "nothing",
    ],
)
def test_a_key_that_cannot_be_used_is_permerror(text: str) -> None:
    (found,) = verified(signed(), f's1._domainkey.example.org. TXT "{text}"\n')
    assert (found.result, bool(found.reason)) == (Result.PERMERROR, True)


def test_a_subdomain_is_not_for_a_key_with_the_flag_s() -> None:
    assert parse_key_record(b"p=AAAA; t=y:s").flags == {"y", "s"}
    identity = signed().replace(b"d=example.org", b"d=example.org; i=@a.example.org")
    assert results(identity, record(tags="; t=s")) == ["permerror"]


def test_without_a_key_record_it_is_permerror_and_without_an_answer_temperror() -> None:
    assert results(signed(), "") == ["permerror"]
    failing = Records("", failing=("s1._domainkey.example.org.",))
    assert results(signed(), failing) == ["temperror"]
    assert failing.asked == ["s1._domainkey.example.org. TXT"]


def test_short_rsa_keys_are_refused() -> None:
    """RFC 8301 section 3.2."""
    # An RSAPublicKey of 512 bits in DER: SEQUENCE, INTEGER n, INTEGER e.
    modulus = (1 << 511) + 111
    body = b"\x02\x41\0" + modulus.to_bytes(64, "big") + b"\x02\x03\1\0\1"
    short = base64.b64encode(b"\x30" + bytes((len(body),)) + body).decode()
    (found,) = verified(signed(LETTER, RSA), f's1._domainkey.example.org. TXT "p={short}"\n')
    assert found.result is Result.PERMERROR
    assert "512 bits" in found.reason


def test_a_key_in_the_form_of_the_grammar_is_accepted() -> None:
    """RFC 6376 section 3.6.1 says RSAPublicKey, without the algorithm around it."""
    bare = key(RSA).public_octets()[22:]
    text = format_key_record("rsa", bare)
    zone = f's1._domainkey.example.org. TXT "{text[:200]}" "{text[200:]}"\n'
    assert results(signed(LETTER, RSA), zone) == ["pass"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("v=1", "v=2", "version"),
        ("a=ed25519-sha256", "a=rsa-sha1", "algorithm"),
        ("c=relaxed/relaxed", "c=strict", "canonicalization"),
        ("h=from", "h=subject", "From"),
        ("d=example.org", "d=example.org; i=@example.net", "i="),
        ("d=example.org", "d=org", "domain"),
        ("s=s1", "s=a b", "selector"),
        ("t=1", "t=x", "t="),
        ("d=example.org", "d=example.org; d=example.org", "twice"),
        ("d=example.org", "d=example.org; x=5", "expires"),
        ("d=example.org", "d=example.org; q=dns/other", "query"),
        ("bh=", "bh=!", "base64"),
        ("d=example.org;", "", "d="),
    ],
)
def test_an_invalid_signature_field_is_neutral_and_says_why(old: str, new: str, reason: str) -> None:
    content = signed(b"From: a@example.org\r\n\r\nx\r\n")
    field, rest = content[: content.index(b"From:")], content[content.index(b"From:") :]
    assert old.encode() in field
    changed = field.replace(old.encode(), new.encode())
    if old == "h=from":
        changed = changed.replace(b":from;", b":to;")
    (found,) = verified(changed + rest, record())
    assert (found.result, found.signature) == (Result.NEUTRAL, None)
    assert reason in found.reason


def test_at_most_so_many_signatures_are_verified() -> None:
    records = Records(record())
    content = signed(b"From: a@example.org\r\n\r\nx\r\n")
    field = content[: content.index(b"From:")]
    assert len(verified(field * 50 + content, records)) == SIGNATURES_MAX == len(records.asked)


def test_a_message_without_a_signature_has_no_results() -> None:
    assert verified(LETTER, "") == []


@pytest.mark.parametrize(
    ("body", "simple", "relaxed"),
    [
        # RFC 6376 section 3.4.5.
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C \r\nD \t E\r\n", b" C\r\nD E\r\n"),
        (b"", b"\r\n", b""),
        (b"\r\n\r\n", b"\r\n", b""),
        (b" \t\r\n", b" \t\r\n", b""),
        (b"no end", b"no end\r\n", b"no end\r\n"),
        (b"a\r\n\r\nb", b"a\r\n\r\nb\r\n", b"a\r\n\r\nb\r\n"),
    ],
)
def test_bodies_are_canonicalized(body: bytes, simple: bytes, relaxed: bytes) -> None:
    assert (canonical_body(body, SIMPLE), canonical_body(body, RELAXED)) == (simple, relaxed)


def test_fields_are_canonicalized() -> None:
    """RFC 6376 section 3.4.5."""
    assert canonical_field(b"A: X\r\n", RELAXED) == b"a:X\r\n"
    assert canonical_field(b"B : Y\t\r\n\tZ  \r\n", RELAXED) == b"b:Y Z\r\n"
    assert canonical_field(b"B : Y\t\r\n\tZ  \r\n", SIMPLE) == b"B : Y\t\r\n\tZ  \r\n"
    # RFC 6376 sections 3.4.3 and 3.4.4: the hashes of empty bodies.
    assert base64.b64encode(BodyHashes(b"").digest(SIMPLE) or b"") == b"frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="
    assert base64.b64encode(BodyHashes(b"").digest(RELAXED) or b"") == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@given(st.binary(max_size=300))
def test_canonical_bodies_stay_as_they_are(body: bytes) -> None:
    for method in (SIMPLE, RELAXED):
        canonical = canonical_body(body, method)
        assert canonical_body(canonical, method) == canonical


@given(st.binary(max_size=200))
def test_any_octets_are_verified_without_an_error(octets: bytes) -> None:
    verified(b"DKIM-Signature: " + octets + b"\r\nFrom: a\r\n\r\n", "")
    parse_message(octets)
    for parse, error in ((parse_signature, SignatureError), (parse_key_record, KeyRecordError)):
        try:
            parse(octets)
        except error:
            continue


def test_tag_lists() -> None:
    assert parse_tags("a=1; b = x y ;\r\n c=;") == {"a": "1", "b": "x y", "c": ""}
    for text in ("", ";", "a", "a=1;;b=2", "1a=2", "a=1; a=2", "=x", "a=\x7f"):
        with pytest.raises(TagError):
            parse_tags(text)


def test_private_keys_come_from_pem() -> None:
    for algorithm in (RSA, ED25519):
        assert load_private_key(key(algorithm).pem()).public_octets() == key(algorithm).public_octets()
    for pem in (b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(ValueError, match="no private key"):
            load_private_key(pem)


def test_without_the_library_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    require_cryptography()
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ServiceError, match=r"DKIM needs the package cryptography: .*install.* cryptography"):
        require_cryptography()


def test_lines_of_a_signature_field_are_short() -> None:
    lines = sign(LETTER, SigningKey("s1", "example.org", key(RSA)), NOW_S).split(b"\r\n")
    assert max(map(len, lines)) <= 78
