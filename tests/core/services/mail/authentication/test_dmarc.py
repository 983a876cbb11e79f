"""DMARC: records, the tree walk, alignment, and the policy that is applied."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.authentication.dkim.canonicalization import parse_message
from lab7.services.mail.authentication.dmarc.record import DmarcRecord, Policy, parse_dmarc, walk
from lab7.services.mail.authentication.dmarc.verdict import AuthorError, Result, Verdict, author_domain, judge
from lab7.services.mail.authentication.lookup import TemporaryLookupError
from tests.core.services.mail.authentication.records import Records


def message(author: str) -> bytes:
    return f"From: {author}\r\n\r\n".encode()


def verdict(
    zone: str, author: str = "a@example.org", spf: str | None = None, dkim: tuple[str, ...] = (), percent: int = 0
) -> Verdict:
    return Records(zone).run(judge(parse_message(message(author)), spf, dkim, percent))


def record(text: str, domain: str = "example.org") -> str:
    return f'_dmarc.{domain}. TXT "v=DMARC1; {text}"\n'


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("v=DMARC1; p=none", DmarcRecord()),
        ("v=DMARC1;p=reject;", DmarcRecord(Policy.REJECT)),
        (
            "v=DMARC1; p=Reject; sp=none; np=quarantine; adkim=s; aspf=S; pct=20; t=y; psd=n; fo=1; ruf=mailto:x@y",
            DmarcRecord(Policy.REJECT, Policy.NONE, Policy.QUARANTINE, True, True, 20, True, False),
        ),
        ("v=DMARC1; p=reject; pct=101", DmarcRecord(Policy.REJECT)),
        ("v=DMARC1; p=nonsense; rua=mailto:a@example.org", DmarcRecord()),
        ("v=DMARC1; rua=mailto:a@example.org", DmarcRecord()),
        ("v=DMARC1; p=nonsense", None),
        ("p=none; v=DMARC1", None),
        ("v=DMARC1 p=none", None),
        ("v=DMARC2; p=none", None),
        ("v=spf1 -all", None),
    ],
)
def test_records_are_parsed(text: str, parsed: DmarcRecord | None) -> None:
    assert parse_dmarc(text.encode()) == parsed


@given(st.binary(max_size=100))
def test_any_text_is_a_record_or_none(text: bytes) -> None:
    parse_dmarc(text)
    parse_dmarc(b"v=DMARC1; " + text)


def organizational(domain: str, zone: str) -> str:
    return str(Records(zone).run(walk(domain)).organizational_domain)


def test_the_organizational_domain_is_the_shortest_with_a_record() -> None:
    """RFC 9989 section 4.10.2."""
    zone = record("p=none") + record("p=none", "mail.example.org")
    assert organizational("a.mail.example.org", zone) == "example.org."
    assert organizational("example.org", zone) == "example.org."
    assert organizational("example.net", zone) == "example.net."


def test_a_record_says_where_an_organization_begins() -> None:
    zone = record("p=none; psd=n", "dept.example.org") + record("p=none") + record("p=none; psd=y", "co.uk")
    assert organizational("a.dept.example.org", zone) == "dept.example.org."
    assert organizational("www.shop.co.uk", zone) == "shop.co.uk."
    assert organizational("co.uk", zone) == "co.uk."


def test_a_walk_has_at_most_eight_queries() -> None:
    records = Records("")
    records.run(walk("a.b.c.d.e.f.g.h.i.j.mail.example.com"))
    assert records.asked[0] == "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com. TXT"
    assert records.asked[1] == "_dmarc.g.h.i.j.mail.example.com. TXT"
    assert records.asked[-1] == "_dmarc.com. TXT"
    assert len(records.asked) == 8


def test_a_record_with_psd_ends_the_walk() -> None:
    records = Records(record("p=none; psd=n", "b.example.org"))
    records.run(walk("a.b.example.org"))
    assert records.asked == ["_dmarc.a.b.example.org. TXT", "_dmarc.b.example.org. TXT"]


def test_two_records_are_as_none() -> None:
    zone = record("p=reject") + record("p=none")
    assert verdict(zone).result is Result.NONE
    assert verdict(zone + 'other. TXT "x"\n_dmarc.example.org. TXT "something else"\n').result is Result.NONE
    assert verdict(record("p=reject") + '_dmarc.example.org. TXT "something else"\n').result is Result.FAIL


@pytest.mark.parametrize(
    ("tags", "spf", "dkim", "passes"),
    [
        ("", "example.org", (), True),
        ("", "mail.example.org", (), True),
        ("", "example.net", (), False),
        ("", "notexample.org", (), False),
        ("", None, ("example.org",), True),
        ("", None, ("example.net", "a.example.org"), True),
        ("", None, ("org",), False),
        ("; aspf=s", "mail.example.org", (), False),
        ("; aspf=s", "EXAMPLE.ORG", (), True),
        ("; adkim=s", None, ("mail.example.org",), False),
        ("; adkim=s", "mail.example.org", ("mail.example.org",), True),
        ("; adkim=s", None, ("example.org",), True),
    ],
)
def test_a_domain_that_passed_must_be_aligned(tags: str, spf: str | None, dkim: tuple[str, ...], passes: bool) -> None:
    found = verdict(record("p=reject" + tags), "Alice <alice@Example.org>", spf, dkim)
    assert found.result is (Result.PASS if passes else Result.FAIL)
    assert found.applied is (Policy.NONE if passes else Policy.REJECT)


def test_a_subdomain_of_another_organization_is_not_aligned() -> None:
    zone = record("p=reject; psd=n", "dept.example.org") + record("p=reject")
    assert verdict(zone, spf="dept.example.org").result is Result.FAIL
    assert verdict(zone, "a@dept.example.org", spf="example.org").result is Result.FAIL
    assert verdict(zone, "a@dept.example.org", spf="x.dept.example.org").result is Result.PASS


def test_the_policy_for_subdomains_and_for_names_that_do_not_exist() -> None:
    zone = record("p=reject; sp=quarantine; np=none") + "mail.example.org. A 192.0.2.1\n"
    assert verdict(zone).applied is Policy.REJECT
    assert verdict(zone, "a@mail.example.org").applied is Policy.QUARANTINE
    assert verdict(zone, "a@missing.example.org").applied is Policy.NONE
    assert verdict(record("p=reject"), "a@mail.example.org").applied is Policy.REJECT
    own = zone + record("p=none", "mail.example.org")
    assert verdict(own, "a@mail.example.org").applied is Policy.NONE


@pytest.mark.parametrize(
    ("tags", "percent", "applied"),
    [
        ("p=reject; pct=30", 29, Policy.REJECT),
        ("p=reject; pct=30", 30, Policy.QUARANTINE),
        ("p=quarantine; pct=0", 0, Policy.NONE),
        ("p=quarantine; pct=100", 99, Policy.QUARANTINE),
        ("p=reject; t=y", 0, Policy.QUARANTINE),
        ("p=none; pct=50", 99, Policy.NONE),
    ],
)
def test_a_percentage_of_the_messages_gets_the_policy(tags: str, percent: int, applied: Policy) -> None:
    found = verdict(record(tags), percent=percent)
    assert (found.result, found.applied) == (Result.FAIL, applied)


@pytest.mark.parametrize(
    ("header", "domain"),
    [
        (b"From: alice@Example.ORG\r\n", "example.org"),
        (b'From: "bob@example.net" <alice@example.org>\r\n', "example.org"),
        (b"From: a@example.org,\r\n b@example.org\r\n", "example.org"),
        (b"from :a@example.org.\r\n", "example.org"),
        (b"From: friends: a@example.org;\r\n", "example.org"),
    ],
)
def test_the_author_domain(header: bytes, domain: str) -> None:
    assert author_domain(parse_message(header + b"\r\n")) == domain


@pytest.mark.parametrize(
    "header",
    [
        b"To: b@example.com\r\n",
        b"From: a@example.org\r\nFrom: a@example.org\r\n",
        b"From: a@example.org, b@example.net\r\n",
        b"From: alice\r\n",
        b"From: a@" + b"x" * 64 + b".org\r\n",
        b"From:\r\n",
    ],
)
def test_a_message_without_one_author_domain_has_no_verdict(header: bytes) -> None:
    with pytest.raises(AuthorError):
        author_domain(parse_message(header + b"\r\n"))
    found = Records("").run(judge(parse_message(header + b"\r\n"), "example.org", [], 0))
    assert found.result is Result.PERMERROR


def test_without_an_answer_the_result_is_temperror() -> None:
    records = Records("", failing=("_dmarc.example.org.",))
    assert records.run(judge(parse_message(message("a@example.org")), None, [], 0)).result is Result.TEMPERROR
    with pytest.raises(TemporaryLookupError):
        Records("", silent=("_dmarc.org.",)).run(walk("example.org"))


def test_a_name_server_above_the_record_that_fails_does_not_matter() -> None:
    records = Records(record("p=reject"), failing=("_dmarc.org.",))
    assert records.run(judge(parse_message(message("a@example.org")), "mail.example.org", [], 0)).result is Result.PASS


def test_records_above_are_only_looked_up_where_they_matter() -> None:
    for spf in (None, "example.org"):
        records = Records(record("p=reject"))
        records.run(judge(parse_message(message("a@example.org")), spf, [], 0))
        assert records.asked == ["_dmarc.example.org. TXT"]
