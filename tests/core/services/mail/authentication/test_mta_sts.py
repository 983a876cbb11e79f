"""MTA-STS: policy files, their patterns, the record with the id, and the cache."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.authentication.mta_sts.policy import (
    MAX_AGE_S,
    RETRY_S,
    Mode,
    Policy,
    PolicyCache,
    PolicyError,
    fetch_needed,
    parse_policy,
    policy_id,
)
from tests.core.services.mail.authentication.records import Records

# RFC 8461 section 3.2.
EXAMPLE = """\
version: STSv1
mode: enforce
mx: mail.example.com
mx: *.example.net
mx: backupmx.example.com
max_age: 604800
"""


def test_the_example_of_the_rfc() -> None:
    policy = parse_policy(EXAMPLE.replace("\n", "\r\n"))
    assert policy == Policy(Mode.ENFORCE, ["mail.example.com", "*.example.net", "backupmx.example.com"], 604_800)
    assert policy == parse_policy(EXAMPLE)
    assert policy.is_enforced


@pytest.mark.parametrize(
    ("host", "matches"),
    [
        ("mail.example.com", True),
        ("MAIL.example.com.", True),
        ("other.example.com", False),
        ("mx1.example.net", True),
        ("a.b.example.net", False),
        ("example.net", False),
        ("mx.badexample.net", False),
    ],
)
def test_a_wildcard_stands_for_one_label(host: str, matches: bool) -> None:
    assert parse_policy(EXAMPLE).matches(host) is matches


@pytest.mark.parametrize(
    "text",
    [
        "",
        EXAMPLE.replace("STSv1", "STSv2"),
        EXAMPLE.replace("mode: enforce\n", ""),
        EXAMPLE.replace("enforce", "always"),
        EXAMPLE.replace("max_age: 604800\n", ""),
        EXAMPLE.replace("604800", "-1"),
        EXAMPLE.replace("604800", "12345678901"),
        EXAMPLE.replace("mx:", "nx:"),
        EXAMPLE.replace("mail.example.com", "mail example.com"),
        EXAMPLE + "<html>\n",
    ],
)
def test_invalid_policies_are_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        parse_policy(text)


def test_unknown_fields_are_ignored_and_the_first_of_two_counts() -> None:
    text = EXAMPLE + "mode: none\nfuture: thing\nmax_age: 1\n"
    assert parse_policy(text) == parse_policy(EXAMPLE)
    assert parse_policy("version: STSv1\nmode: none\nmax_age: 9999999999\n") == Policy(Mode.NONE, [], MAX_AGE_S)


@given(st.text(max_size=200))
def test_any_text_is_a_policy_or_refused(text: str) -> None:
    try:
        parse_policy("version: STSv1\n" + text)
    except PolicyError:
        return


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=STSv1; id=1", "v=spf1 -all"], "1"),
        (["v=STSv1; id=1", "v=STSv1; id=2"], None),
        (["v=STSv1; id=a-b"], None),
        (["v=STSv1"], None),
        (["id=1; v=STSv1"], None),
        ([], None),
    ],
)
def test_the_id_of_a_policy(records: list[str], expected: str | None) -> None:
    zone = "".join(f'_mta-sts.example.com. TXT "{text}"\n' for text in records)
    assert Records(zone).run(policy_id("example.com")) == expected


def test_policies_are_kept_for_their_age_whatever_the_dns_says() -> None:
    now = [1000.0]
    cache = PolicyCache(lambda: now[0])
    record = '_mta-sts.example.com. TXT "v=STSv1; id=1"\n'
    assert Records(record).run(fetch_needed(cache, "example.com")) == "1"
    policy = parse_policy(EXAMPLE)
    cache.put("example.com", "1", policy)
    assert Records(record).run(fetch_needed(cache, "example.com")) is None
    # Section 3.3: neither a missing record nor a failing one removes a policy.
    for records in (Records(""), Records("", failing=("_mta-sts.example.com.",))):
        assert records.run(fetch_needed(cache, "example.com")) is None
        assert cache.policy("example.com") == policy
    assert Records(record.replace("id=1", "id=2")).run(fetch_needed(cache, "example.com")) == "2"
    now[0] += policy.max_age_s
    assert cache.policy("example.com") is None
    assert Records(record).run(fetch_needed(cache, "example.com")) == "1"


def test_after_a_failed_fetch_the_next_one_waits() -> None:
    now = [1000.0]
    cache = PolicyCache(lambda: now[0])
    cache.failed("example.com")
    assert not cache.must_fetch("example.com", "1")
    assert cache.must_fetch("example.net", "1")
    now[0] += RETRY_S
    assert cache.must_fetch("example.com", "1")
