"""Greeting, capabilities, login and logout (RFC 3501 sections 6.1 and 6.2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.services.mail.imap.limits import BAD_COMMANDS_MAX, FAILED_LOGINS_MAX
from lab7.services.mail.imap.session_state import Capabilities, State
from tests.core.services.mail.imap.transcripts import Client, mailbox


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(mailbox(tmp_path), logged_in=False)


def test_the_greeting_tells_what_the_server_can(client: Client) -> None:
    assert client.session.greeting().startswith(b"* OK [CAPABILITY IMAP4rev1 ")


def test_a_client_logs_in_and_out(client: Client) -> None:
    client.play("""
        C: a1 CAPABILITY
        S: * CAPABILITY IMAP4rev1 ... AUTH=PLAIN ...
        S: a1 OK ...
        C: a2 LOGIN alice secret
        S: a2 OK [CAPABILITY IMAP4rev1 ... UIDPLUS ...] ...
        C: a3 LOGIN alice secret
        S: a3 BAD ...
        C: a4 LOGOUT
        S: * BYE ...
        S: a4 OK ...
    """)
    assert client.session.ended


def test_what_is_sent_behind_logout_counts_for_nothing(client: Client) -> None:
    client.play("""
        C: a LOGOUT\\r\\nb NOOP\\r\\nc CREATE x
        S: * BYE ...
        S: a OK ...
        C: d NOOP
    """)


def test_names_and_passwords_may_be_literals_and_quoted(client: Client) -> None:
    client.play("""
        C: a LOGIN {5}
        S: + ...
        C: alice {6}
        S: + ...
        C: secret
        S: a OK ...
    """)
    assert client.session.state is State.AUTHENTICATED


def test_literals_that_do_not_wait(client: Client) -> None:
    client.play("""
        C: a LOGIN {5+}\\r\\nalice {6+}\\r\\nsecret
        S: a OK ...
    """)


def test_a_wrong_password_is_no_and_too_many_end_the_session(client: Client) -> None:
    for _ in range(FAILED_LOGINS_MAX - 1):
        client.play("""
            C: a LOGIN alice wrong
            S: a NO [AUTHENTICATIONFAILED] ...
        """)
    client.play("""
        C: a LOGIN alice wrong
        S: * BYE ...
        C: b LOGIN alice secret
    """)


@pytest.mark.parametrize(
    "line",
    ["AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==", "authenticate plain YWxpY2UAYWxpY2UAc2VjcmV0"],
    ids=["without an authzid", "with one"],
)
def test_plain_with_an_initial_response(client: Client, line: str) -> None:
    client.play(f"""
        C: a {line}
        S: a OK ...
    """)


def test_plain_asks_for_the_response(client: Client) -> None:
    assert client.send(b"a AUTHENTICATE PLAIN\r\n") == b"+ \r\n"
    client.play("""
        C: AGFsaWNlAHNlY3JldA==
        S: a OK ...
    """)


def test_the_mechanism_login_asks_twice(client: Client) -> None:
    client.play("""
        C: a AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: YWxpY2U=
        S: + UGFzc3dvcmQ6
        C: c2VjcmV0
        S: a OK ...
    """)


@pytest.mark.parametrize("line", ["*", "no base64!", "YWxpY2U="])
def test_authentication_that_is_ended_or_not_well_formed_is_bad(client: Client, line: str) -> None:
    client.play(f"""
        C: a AUTHENTICATE PLAIN
        S: + ...
        C: {line}
        S: a BAD ...
        C: b NOOP
        S: b OK ...
    """)


def test_another_users_mailbox_is_not_given(client: Client) -> None:
    client.play("""
        C: a AUTHENTICATE PLAIN Ym9iAGFsaWNlAHNlY3JldA==
        S: a NO [AUTHORIZATIONFAILED] ...
    """)


def test_an_unknown_mechanism_is_no(client: Client) -> None:
    client.play("""
        C: a AUTHENTICATE CRAM-MD5
        S: a NO ...
    """)


@pytest.mark.parametrize("command", ["SELECT INBOX", 'LIST "" *', "NAMESPACE", "FETCH 1 ALL", "IDLE", "CLOSE"])
def test_commands_of_later_states_are_bad_before_log_in(client: Client, command: str) -> None:
    client.play(f"""
        C: a {command}
        S: a BAD ...
    """)


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "a ",
        "a BOGUS",
        "a UID",
        "a UID BOGUS",
        "a NOOP x",
        "a NOOP ",
        "a  NOOP",
        "a LOGIN alice",
        "a LOGIN alice secret more",
        "a LOGIN  alice secret",
        'a LOGIN "alice secret',
        'a LOGIN "al\\ice" secret',
        "a LOGIN al(ice secret",
        "a ID x",
        "a ID (x)",
    ],
)
def test_what_is_not_well_formed_is_bad(client: Client, line: str) -> None:
    answer = client.send(line.encode() + b"\r\n")
    assert answer.startswith((b"a BAD ", b"* BAD "))
    assert answer.count(b"\r\n") == 1


@pytest.mark.parametrize("line", ["+ NOOP", "(a NOOP", '"a" NOOP', "a% NOOP", "\\x01 NOOP"])
def test_a_tag_that_is_none_is_answered_without_one(client: Client, line: str) -> None:
    client.play(f"""
        C: {line}
        S: * BAD ...
    """)


def test_too_many_bad_commands_end_the_session(client: Client) -> None:
    answer = client.send(b"a BOGUS\r\n" * (BAD_COMMANDS_MAX + 5))
    assert answer.count(b"a BAD") == BAD_COMMANDS_MAX
    assert answer.splitlines()[-1].startswith(b"* BYE")
    assert client.session.ended


def test_identification_is_answered_and_bounded(client: Client) -> None:
    client.play("""
        C: a ID NIL
        S: * ID ("name" "lab7")
        S: a OK ...
        C: b ID ("name" "x" "version" NIL)
        S: * ID ("name" "lab7")
        S: b OK ...
    """)
    pairs = " ".join(f'"f{n}" "v"' for n in range(31))
    client.play(f"""
        C: c ID ({pairs})
        S: c BAD ...
    """)


def test_starttls_drops_what_was_sent_ahead(tmp_path: Path) -> None:
    client = Client(mailbox(tmp_path), Capabilities(tls=True, needs_tls=True), logged_in=False)
    client.play("""
        C: a CAPABILITY
        S: * CAPABILITY IMAP4rev1 ... STARTTLS LOGINDISABLED
        S: a OK ...
        C: b LOGIN alice secret
        S: b NO [PRIVACYREQUIRED] ...
        C: c STARTTLS\\r\\nd LOGIN alice secret
        S: c OK ...
        C: e CAPABILITY
        S: * CAPABILITY IMAP4rev1 ... AUTH=PLAIN ...
        S: e OK ...
        C: f LOGIN alice secret
        S: f OK ...
    """)
    assert client.tls_begun == 1


def test_without_a_certificate_there_is_no_starttls(client: Client) -> None:
    client.play("""
        C: a STARTTLS
        S: a BAD ...
    """)


def test_a_huge_literal_is_refused_before_it_comes(client: Client) -> None:
    client.play("""
        C: a LOGIN {4294967295}
        S: a NO [TOOBIG] ...
        C: b LOGIN {4294967296}
        S: b BAD ...
        C: c LOGIN {5000}
        S: c NO [TOOBIG] ...
        C: d NOOP
        S: d OK ...
    """)


def test_a_huge_literal_that_does_not_wait_ends_the_session(client: Client) -> None:
    client.play("""
        C: a LOGIN {4294967295+}
        S: a NO [TOOBIG] ...
        S: * BYE ...
    """)


def test_a_literal_that_does_not_wait_and_is_refused_is_passed_over(client: Client) -> None:
    octets = "x" * 5000
    client.play(f"""
        C: a LOGIN {{5000+}}\\r\\n{octets} secret
        S: a NO [TOOBIG] ...
        C: b NOOP
        S: b OK ...
    """)


def test_literals_behind_one_that_is_refused_are_passed_over(client: Client) -> None:
    """RFC 7888 section 4: a non-synchronising literal is read to its end, and no command is parsed in it."""
    client.play(
        """
        C: a LOGIN {5000+}\\r\\n%s {9+}\\r\\nb NOOP\\r\\n\\r {3+}\\r\\nabc
        S: a NO [TOOBIG] ...
        C: c NOOP
        S: c OK ...
        C: d BOGUS {1+}\\r\\nx {4294967295+}
        S: d BAD ...
        S: * BYE ...
    """
        % ("x" * 5000)
    )


def test_a_line_that_has_a_tag_only_is_answered_with_it(client: Client) -> None:
    client.play("""
        C: a
        S: a BAD ...
    """)


def test_a_line_without_end_is_bad_once_and_the_next_is_read(client: Client) -> None:
    answer = client.send(b"a LOGIN " + b"x" * 300_000 + b"\r\nb NOOP\r\n")
    assert answer == b"a BAD The line is too long.\r\nb OK NOOP completed.\r\n"


def test_other_sessions_run_between_lines_without_a_response(client: Client) -> None:
    """An empty output is a point at which the connection may serve others."""
    assert list(client.session.receive(b"\r\n" * 100)) == [b""] * 100
