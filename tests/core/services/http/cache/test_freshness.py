"""Freshness lifetime and age (RFC 9111 sections 4.2, 5.1 and 5.3; RFC 9213 section 2.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.cache.decisions import DEFAULT_POLICY, Policy
from lab7.services.http.cache.directives import INFINITY_S
from lab7.services.http.cache.freshness import (
    age_value,
    corrected_initial_age,
    current_age,
    effective_control,
    freshness_lifetime,
    http_date,
)
from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.messages import Response
from tests.core.services.http.cache.exchanges import NOW, URI, date, decided, entry, fields, get, ok, outcome

DAY_S = 86_400


def lifetime(response: Response, policy: Policy = DEFAULT_POLICY) -> int:
    return freshness_lifetime(response, effective_control(response, policy), NOW, policy)


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        (["Cache-Control: max-age=60"], 60),
        # 4.2.1: the first match of s-maxage, max-age, Expires, heuristic.
        (["Cache-Control: max-age=60, s-maxage=6"], 6),
        (["Cache-Control: s-maxage=600", f"Expires: {date(5)}"], 600),
        (["Cache-Control: max-age=60", f"Expires: {date(5)}"], 60),
        (["Cache-Control: max-age=0", f"Expires: {date(500)}"], 0),
        (["Cache-Control: max-age=x", f"Expires: {date(500)}"], 0),
        (["Cache-Control: s-maxage=x, max-age=60"], 0),
        ([f"Expires: {date(500)}"], 500),
        (["Cache-Control: public", f"Expires: {date(500)}"], 500),
        ([f"Expires: {date(-500)}"], 0),
        # 5.3: an invalid date counts as expired.
        (["Expires: 0"], 0),
        (["Expires: -1"], 0),
        (["Expires:"], 0),
        (["Expires: tomorrow"], 0),
        ([f"Expires: {date(500).replace('GMT', 'UTC')}"], 0),
        ([f"Expires: {date(500).replace('GMT', 'EST')}"], 0),
        ([f"Expires: {date(500)[:-4]}"], 0),
        # 4.2: dates match case-insensitively.
        ([f"Expires: {date(500).lower()}"], 500),
        ([f"Expires: {date(500).upper()}"], 500),
        (["Expires: Fri, 31 Dec 9999 23:59:59 GMT"], INFINITY_S),
        # 4.2.1: two Expires, the first or stale.
        ([f"Expires: {date(500)}", f"Expires: {date(500)}"], 500),
        ([f"Expires: {date(50)}", f"Expires: {date(500)}"], 50),
        ([f"Expires: {date(500)}", f"Expires: {date(50)}"], 0),
        ([f"Expires: {date(500)}", "Expires: 0"], 0),
        ([f"Expires: {date(500)}, {date(500)}"], 0),
        # Unknown and targeted at others
        (["Surrogate-Control: max-age=60"], 0),
        (["Other-CDN-Cache-Control: max-age=60"], 0),
    ],
)
def test_4_2_1_freshness_lifetime(lines: list[str], seconds: int) -> None:
    assert lifetime(ok(*lines)) == seconds


def test_4_2_1_expires_is_held_against_date_and_not_against_the_clock() -> None:
    response = Response(200, fields(f"Date: {date(-100)}", f"Expires: {date(0)}"))
    assert lifetime(response) == 100


@pytest.mark.parametrize("bad", ["", "0", "yesterday"])
def test_4_2_1_without_a_valid_date_the_time_of_receipt_counts(bad: str) -> None:
    assert lifetime(Response(200, fields(f"Date: {bad}", f"Expires: {date(70)}"))) == 70
    assert lifetime(Response(200, fields(f"Expires: {date(70)}"))) == 70


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        # RFC 9213 section 2.2: the targeted field decides alone.
        (["CDN-Cache-Control: max-age=600", "Cache-Control: max-age=60"], 600),
        (["CDN-Cache-Control: max-age=600", "Cache-Control: s-maxage=60"], 600),
        (["CDN-Cache-Control: none", "Cache-Control: max-age=60"], 0),
        (["CDN-Cache-Control: none", f"Expires: {date(60)}"], 0),
        (["CDN-Cache-Control: max-age=600", f"Expires: {date(-60)}"], 600),
        (["CDN-Cache-Control: max-age=5", "CDN-Cache-Control: max-age=600"], 600),
        (["CDN-Cache-Control: max-age=600, s-maxage=7"], 7),
        # Section 2.1: an empty or malformed one is as if it were not there.
        (["CDN-Cache-Control:", "Cache-Control: max-age=60"], 60),
        (["CDN-Cache-Control: max-age=600,", "Cache-Control: max-age=60"], 60),
        (["CDN-Cache-Control: MAX-AGE=600", "Cache-Control: max-age=60"], 60),
        (["CDN-Cache-Control: max-age=&", "Cache-Control: max-age=60"], 60),
    ],
)
def test_rfc9213_2_2_targeted(lines: list[str], seconds: int) -> None:
    assert lifetime(ok(*lines)) == seconds


def test_rfc9213_2_2_the_target_list_is_the_caches_own() -> None:
    response = ok("CDN-Cache-Control: max-age=600", "A-Cache-Control: max-age=5", "Cache-Control: max-age=60")
    assert lifetime(response, Policy(targeted=())) == 60
    assert lifetime(response, Policy(targeted=(b"a-cache-control", b"cdn-cache-control"))) == 5


@pytest.mark.parametrize("status", [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501])
def test_4_2_2_a_tenth_of_the_time_since_last_modified(status: int) -> None:
    assert lifetime(ok(f"Last-Modified: {date(-1000)}", status=status)) == 100


@pytest.mark.parametrize("status", [201, 202, 302, 303, 307, 400, 401, 403, 418, 500, 502, 503, 504, 299, 599])
def test_4_2_2_no_heuristic_for_other_statuses_unless_public(status: int) -> None:
    assert lifetime(ok(f"Last-Modified: {date(-1000)}", status=status)) == 0
    assert lifetime(ok(f"Last-Modified: {date(-1000)}", "Cache-Control: public", status=status)) == 100


def test_4_2_2_no_heuristic_beside_an_explicit_time_nor_without_last_modified() -> None:
    modified = f"Last-Modified: {date(-1000)}"
    assert lifetime(ok(modified, "Expires: 0")) == 0
    assert lifetime(ok(modified, "Cache-Control: max-age=0")) == 0
    assert lifetime(ok(modified, "Cache-Control: max-age=x")) == 0
    assert lifetime(ok()) == 0
    assert lifetime(ok("Last-Modified: x")) == 0
    assert lifetime(ok(f"Last-Modified: {date(1000)}")) == 0


def test_4_2_2_the_heuristic_has_a_bound_and_is_for_queries_too() -> None:
    old = ok(f"Last-Modified: {date(-1000 * DAY_S)}")
    assert lifetime(old) == DAY_S
    assert lifetime(old, Policy(heuristic_most_s=10)) == 10
    assert lifetime(old, Policy(heuristic_fraction=0.0)) == 0


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([], 0),
        (["Age: 5"], 5),
        # 5.1: the first member of a list; an invalid value is ignored.
        (["Age: 5, 7"], 5),
        (["Age: 5", "Age: 7"], 5),
        (["Age: x, 7"], 0),
        (["Age: -5"], 0),
        (["Age: 5.5"], 0),
        (["Age:"], 0),
        (['Age: "5"'], 0),
        (["Age: 99999999999"], INFINITY_S),
    ],
)
def test_5_1_age(lines: list[str], seconds: int) -> None:
    assert age_value(fields(*lines)) == seconds


@pytest.mark.parametrize(
    ("lines", "request_time", "response_time", "seconds"),
    [
        # 4.2.3: apparent_age = max(0, response_time - date_value)
        ([f"Date: {date(0)}"], NOW, NOW, 0.0),
        ([f"Date: {date(-30)}"], NOW, NOW, 30.0),
        ([f"Date: {date(30)}"], NOW, NOW, 0.0),
        ([], NOW, NOW, 0.0),
        (["Date: x"], NOW, NOW, 0.0),
        # A Date of this very second is not in the past.
        ([f"Date: {date(0)}"], NOW + 0.75, NOW + 0.75, 0.0),
        # corrected_age_value = age_value + response_delay
        ([f"Date: {date(0)}"], NOW, NOW + 0.5, 0.5),
        ([f"Date: {date(0)}", "Age: 5"], NOW, NOW + 2, 7.0),
        # the greater of the two
        ([f"Date: {date(-30)}", "Age: 5"], NOW, NOW + 2, 32.0),
        ([f"Date: {date(-3)}", "Age: 50"], NOW, NOW + 2, 52.0),
        # a clock that was set back meanwhile
        ([f"Date: {date(0)}", "Age: 5"], NOW + 9, NOW, 5.0),
    ],
)
def test_4_2_3_corrected_initial_age(
    lines: list[str], request_time: float, response_time: float, seconds: float
) -> None:
    stored = StoredResponse(URI, b"GET", fields(), request_time, response_time, Response(200, fields(*lines)))
    assert corrected_initial_age(stored) == seconds


def test_4_2_3_current_age_grows_with_resident_time() -> None:
    assert current_age(5.0, NOW, NOW + 7) == 12.0
    assert current_age(5.0, NOW, NOW - 7) == 5.0


def test_4_2_fresh_until_the_lifetime_is_reached() -> None:
    """response_is_fresh = (freshness_lifetime > current_age)"""
    stored = entry("Cache-Control: max-age=60")
    assert outcome(decided(get(), stored, after=59.9)) == "fresh"
    assert outcome(decided(get(), stored, after=60)) == "stale"
    assert outcome(decided(get(), entry("Cache-Control: max-age=60", "Age: 59"), after=0.5)) == "fresh"
    assert outcome(decided(get(), entry("Cache-Control: max-age=60", "Age: 60"))) == "stale"


@given(
    st.floats(0, 1e9),
    st.floats(0, 2e9),
    st.floats(0, 2e9),
    st.floats(0, 1e6),
)
def test_4_2_3_age_never_falls(initial: float, response_time: float, now: float, later: float) -> None:
    assert initial <= current_age(initial, response_time, now) <= current_age(initial, response_time, now + later)


@given(st.binary(max_size=40))
def test_no_octets_crash_the_dates(octets: bytes) -> None:
    http_date(octets, NOW)
