"""Sessions, login throttling and CSRF checks, with a fake clock and fake random octets."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.fields import Fields
from lab7.services.mail.accounts import Account
from lab7.services.mail.webmail.csrf import check_origin, check_token
from lab7.services.mail.webmail.limits import IDLE_S, SESSION_S, SESSIONS_MAX, SESSIONS_OF_USER_MAX, THROTTLE_KEYS_MAX
from lab7.services.mail.webmail.login import LoginThrottle
from lab7.services.mail.webmail.requests import PageError
from lab7.services.mail.webmail.sessions import Sessions

ALICE = Account("alice", "example.com")
BOB = Account("bob", "example.com")


def new_sessions() -> Sessions:
    numbers = count(1)
    return Sessions(lambda octets: next(numbers).to_bytes(octets, "big"))


def test_a_session_is_found_by_its_token_alone() -> None:
    sessions = new_sessions()
    token = sessions.begin(ALICE, "secret", 0.0)
    session = sessions.find(token, 1.0)
    assert session is not None
    assert session.account == ALICE
    assert session.form_token != token
    for wrong in ("", token[:-1], token + "0", token.upper() + "x", "\ud800"):
        assert sessions.find(wrong, 1.0) is None


def test_a_session_that_is_not_used_ends() -> None:
    sessions = new_sessions()
    token = sessions.begin(ALICE, "secret", 0.0)
    assert sessions.find(token, IDLE_S) is not None
    assert sessions.find(token, 2 * IDLE_S) is not None
    assert sessions.find(token, 3 * IDLE_S + 1) is None
    assert len(sessions) == 0


def test_a_session_that_is_used_ends_as_well() -> None:
    sessions = new_sessions()
    token = sessions.begin(ALICE, "secret", 0.0)
    now = 0.0
    while now + IDLE_S <= SESSION_S:
        now += IDLE_S
        assert sessions.find(token, now) is not None
    assert sessions.find(token, SESSION_S + 1) is None


def test_a_session_that_was_left_is_over() -> None:
    sessions = new_sessions()
    token = sessions.begin(ALICE, "secret", 0.0)
    sessions.end(token)
    assert sessions.find(token, 0.0) is None


def test_a_user_s_oldest_session_makes_room_and_no_one_else_s() -> None:
    sessions = new_sessions()
    bobs = sessions.begin(BOB, "x", 0.0)
    tokens = [sessions.begin(ALICE, "secret", float(number)) for number in range(SESSIONS_OF_USER_MAX + 1)]
    assert [token for token in tokens if sessions.find(token, 100.0) is None] == tokens[:1]
    assert sessions.find(bobs, 100.0) is not None


def test_the_table_is_bounded() -> None:
    sessions = new_sessions()
    for number in range(SESSIONS_MAX + 5):
        sessions.begin(Account(f"u{number}", "example.com"), "x", float(number) / 1000)
    assert len(sessions) == SESSIONS_MAX


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_the_password_opens_with_the_token_and_is_nowhere_without(password: str) -> None:
    sessions = new_sessions()
    token = sessions.begin(ALICE, password, 0.0)
    session = sessions.find(token, 0.0)
    assert session is not None
    assert sessions.password(token, session) == password
    if len(password) > 3:
        assert password.encode() not in session.sealed
        assert sessions.password("another", session) != password


def test_guessing_is_slow_and_never_ends_for_good() -> None:
    attempts = LoginThrottle(3, 60.0)
    for now in (0.0, 1.0, 2.0):
        assert attempts.wait_s("eve", now) == 0
        attempts.count("eve", now)
    assert attempts.wait_s("eve", 10.0) == 50.0
    assert attempts.wait_s("alice", 10.0) == 0
    assert attempts.wait_s("eve", 60.0) == 0


def test_a_log_in_that_succeeds_does_not_count() -> None:
    attempts = LoginThrottle(1, 60.0)
    attempts.count("alice", 0.0)
    assert attempts.wait_s("alice", 0.0) > 0
    attempts.forget_last("alice")
    assert attempts.wait_s("alice", 0.0) == 0
    attempts.forget_last("nobody")


def test_who_is_remembered_is_bounded() -> None:
    attempts = LoginThrottle(1, 60.0)
    for number in range(THROTTLE_KEYS_MAX + 1):
        attempts.count(str(number), 0.0)
    assert attempts.wait_s("0", 0.0) == 0
    assert attempts.wait_s(str(THROTTLE_KEYS_MAX), 0.0) > 0


def fields(**values: str) -> Fields:
    return Fields(tuple((name.encode(), value.encode()) for name, value in values.items()))


@pytest.mark.parametrize(
    ("said", "secure"),
    [
        (fields(Host="mail.example:8025", Origin="http://mail.example:8025"), False),
        (fields(Host="mail.example", Origin="http://MAIL.example:80"), False),
        (fields(Host="mail.example:443", Origin="https://mail.example"), True),
        (fields(Host="mail.example", Referer="http://mail.example/compose?x=1"), False),
        (fields(Host="mail.example"), False),
    ],
)
def test_a_form_of_this_site_passes(said: Fields, secure: bool) -> None:
    check_origin(said, secure)


@pytest.mark.parametrize(
    ("said", "secure"),
    [
        (fields(Host="mail.example", Origin="http://evil.example"), False),
        (fields(Host="mail.example", Origin="null"), False),
        (fields(Host="mail.example", Origin=""), False),
        (fields(Host="mail.example", Origin="http://mail.example:8025"), False),
        (fields(Host="mail.example", Origin="http://mail.example"), True),
        (fields(Host="mail.example", Origin="http://mail.example.evil.example"), False),
        (fields(Host="mail.example", Referer="http://evil.example/http://mail.example/"), False),
        (fields(Host="mail.example", Referer="http://mail.example@evil.example/"), False),
        (fields(Host="mail.example", Referer="http://[evil"), False),
        (fields(Host="mail.example", Origin="http://evil.example", Referer="http://mail.example/"), False),
    ],
)
def test_a_form_from_elsewhere_does_not(said: Fields, secure: bool) -> None:
    with pytest.raises(PageError) as caught:
        check_origin(said, secure)
    assert caught.value.status == 403


@pytest.mark.parametrize(
    ("given_", "expected"), [("", ""), ("x", ""), ("", "x"), ("y", "x"), ("x ", "x"), ("\ud800", "x")]
)
def test_a_form_without_the_token_does_not_pass(given_: str, expected: str) -> None:
    with pytest.raises(PageError) as caught:
        check_token(given_, expected)
    assert caught.value.status == 403


def test_a_form_with_the_token_passes() -> None:
    check_token("x", "x")
