"""Access control: USER, PASS, ACCT, REIN, QUIT (RFC 959 sections 4.1.1 and 5.4)."""

from pathlib import Path

import pytest

from lab7.services.ftp.server_pi.commands import VERBS
from tests.core.services.ftp.fake_connection import FakeConnection, codes_of


@pytest.mark.parametrize(
    ("commands", "codes"),
    [
        (["USER ann", "PASS secret"], [331, 230]),
        (["USER ann", "PASS wrong"], [331, 530]),
        (["USER open"], [230]),
        (["user ann", "pass secret"], [331, 230]),
        (["USER anonymous", "PASS guest@"], [331, 230]),
        (["USER ftp", "PASS"], [331, 230]),
        (["USER billed", "PASS secret", "ACCT books"], [331, 332, 230]),
        (["USER billed", "PASS secret", "ACCT wrong", "PWD"], [331, 332, 530, 530]),
        (["USER billed", "PASS secret", "PWD"], [331, 332, 530]),
        (["USER ann", "PASS secret", "ACCT x"], [331, 230, 202]),
        # RFC 2577 section 6: the reply does not disclose that the user is unknown.
        (["USER nobody", "PASS x"], [331, 530]),
        (["PASS secret"], [503]),
        (["ACCT books"], [503]),
        (["USER ann", "PWD"], [331, 530]),
        (["USER ann", "PASS secret", "PASS secret"], [331, 230, 503]),
        (["USER ann", "PASS secret", "USER ann", "PWD"], [331, 230, 331, 530]),
        (["USER ann", "PASS secret", "REIN", "PWD"], [331, 230, 220, 530]),
        (["USER ann", "PASS secret", "RNTO x"], [331, 230, 503]),
        (["RNTO x"], [530]),
        (["USER"], [501]),
        (["QUIT"], [221]),
    ],
)
def test_a_login_and_its_replies(stranger: FakeConnection, commands: list[str], codes: list[int]) -> None:
    assert stranger.codes(*commands) == codes


def test_the_greeting_is_220(root: Path) -> None:
    assert codes_of(FakeConnection(root).greet()) == [220]


def test_who_comes_before_the_server_is_ready_is_told_to_wait(root: Path) -> None:
    desk = FakeConnection(root)
    assert codes_of(desk.greet(ready=False)) == [120]
    assert desk.codes("NOOP") == []
    assert codes_of(desk.open()) == [220, 200]


def test_the_third_wrong_password_ends_the_session(stranger: FakeConnection) -> None:
    for _ in range(2):
        assert stranger.codes("USER ann", "PASS wrong") == [331, 530]
    assert stranger.codes("USER ann", "PASS wrong", "NOOP") == [331, 421]
    assert stranger.closed
    assert [note.event for note in stranger.log_events] == ["login_refused"] * 3


def test_rein_does_not_count_wrong_passwords_anew(stranger: FakeConnection) -> None:
    stranger.codes("USER ann", "PASS wrong", "USER ann", "PASS wrong", "REIN")
    assert stranger.codes("USER ann", "PASS wrong") == [331, 421]


def test_quit_is_the_last_reply(stranger: FakeConnection) -> None:
    assert stranger.codes("QUIT", "NOOP") == [221]
    assert stranger.closed


def test_storing_may_need_an_account(root: Path, stranger: FakeConnection) -> None:
    stranger.data = b"x"
    commands = ["USER clerk", "PASS secret", "PASV", "STOR new", "RETR a.txt", "ACCT books", "PASV", "STOR new"]
    assert stranger.codes(*commands) == [331, 230, 227, 532, 150, 226, 230, 227, 150, 226]
    assert (root / "new").read_bytes() == b"x"


NEEDS_NO_LOGIN = {"USER", "PASS", "ACCT", "REIN", "QUIT", "ABOR", "SYST", "HELP", "NOOP", "FEAT", "OPTS"}


@pytest.mark.parametrize("verb", [name.decode() for name in VERBS])
def test_what_needs_a_login_is_530_before_it(stranger: FakeConnection, verb: str) -> None:
    code = stranger.codes(f"{verb} x")[-1]
    assert (code == 530) == (verb not in NEEDS_NO_LOGIN)
