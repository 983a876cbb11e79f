"""The judge of POP3: the grammar, and M1 with captures that show it and that contradict it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.experiments.harness.judge.reassembly import Piece, Stream
from lab7.experiments.mail.claims.pop3 import Pop3Course, decide_pop3
from lab7.experiments.mail.wire.pop3 import Pop3Traffic
from lab7.experiments.mail.wire.pop3_grammar import Pop3GrammarError, read_command, read_response
from tests.core.experiments.harness.verdicts import lose_one, said
from tests.core.experiments.mail.mailbox_wire import LETTERS, Pop3Wire, letter, stuffed


def stream(data: bytes) -> Stream:
    return Stream(data, (Piece(0, len(data), 1, 0),) if data else (), whole=True)


@pytest.mark.parametrize(
    ("line", "verb", "argument"),
    [(b"QUIT\r\n", "QUIT", b""), (b"retr 12\r\n", "RETR", b"12"), (b"PASS two words\r\n", "PASS", b"two words")],
)
def test_a_command_is_read(line: bytes, verb: str, argument: bytes) -> None:
    found = read_command(stream(line + b"NEXT\r\n"), 0)
    assert found is not None
    assert (found.verb, found.argument, found.octets) == (verb, argument, line)


@pytest.mark.parametrize(
    "line", [b"QUIT\n", b"QUIT", b"TOOLONG x\r\n", b"A\r\n", b"\xff\r\n", b"PASS " + b"x" * 300 + b"\r\n"]
)
def test_what_is_no_command_is_an_error(line: bytes) -> None:
    with pytest.raises(Pop3GrammarError):
        read_command(stream(line), 0)


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\r" not in line and b"\n" not in line)))
def test_lines_come_back_as_they_were(lines: list[bytes]) -> None:
    content = b"".join(line + b"\r\n" for line in lines)
    found = read_response(stream(b"+OK\r\n" + stuffed(content) + b"+OK next\r\n"), 0, has_lines=True)
    assert found is not None
    assert found.content == content


@pytest.mark.parametrize(
    "octets",
    [b"OK\r\n", b"+OK\n", b"+OK\r\nline\r\n", b"+OK\r\nline\n.\n", b"+OK" + b"x" * 600 + b"\r\n", b"+OKAY\r\n"],
)
def test_what_is_no_response_is_an_error(octets: bytes) -> None:
    with pytest.raises(Pop3GrammarError):
        read_response(stream(octets), 0, has_lines=True)


def test_a_session_is_read_to_its_end(tmp_path: Path) -> None:
    wire = Pop3Wire().begin().say("AUTH PLAIN", b"+ ").say("AGJvYgBzZWNyZXQ=", b"+OK in")
    (session,) = wire.say("LIST", b"+OK", b"1 20\r\n").say("LIST 1", b"+OK 1 20").quit().traffic(tmp_path).sessions
    assert session.problem is None
    assert [one.verb for one in session.exchanges] == ["AUTH", "LIST", "LIST", "QUIT"]
    assert session.proof is session.exchanges[0]
    assert session.exchanges[1].content == b"1 20\r\n"
    assert session.exchanges[2].content == b""


def test_what_answers_nothing_is_a_problem(tmp_path: Path) -> None:
    wire = Pop3Wire().log_in()
    wire.tcp.server("PA", b"+OK unasked\r\n")
    (session,) = wire.traffic(tmp_path).sessions
    assert session.problem == "a response belongs to no command"


def refused(**response: bytes) -> Pop3Wire:
    wire = Pop3Wire().begin().say("USER bob").say("PASS wrong", response.get("password", b"-ERR no"))
    return wire.say("STAT", response.get("stat", b"-ERR not now")).quit()


def keeps(*contents: bytes) -> Pop3Wire:
    return Pop3Wire().log_in().count(3).retrieve(*contents).quit()


def octets(*contents: bytes) -> int:
    return sum(map(len, contents))


def looks(count: int, size: int = octets(*LETTERS)) -> Pop3Wire:
    return Pop3Wire().log_in().say("STAT", b"+OK %d %d" % (count, size)).quit()


def drops(last: str = "") -> Pop3Wire:
    """A message is marked, and the connection closed."""
    wire = Pop3Wire().log_in().say("DELE 1")
    if last:
        wire.say(last)
    wire.tcp.close()
    return wire


def rest(*contents: bytes, sizes: tuple[int, ...] = ()) -> Pop3Wire:
    """What is left is listed and downloaded."""
    wire = Pop3Wire().log_in().say("STAT", b"+OK %d %d" % (len(contents), octets(*contents)))
    said = sizes or tuple(map(len, contents))
    wire.say("LIST", b"+OK", b"".join(b"%d %d\r\n" % one for one in enumerate(said, start=1)))
    return wire.retrieve(*contents).quit()


def deletes(*contents: bytes, quits: bytes = b"+OK bye") -> Pop3Wire:
    return Pop3Wire().log_in().retrieve(*contents, delete=True).say("QUIT", quits)


def course(folder: Path, **other: Pop3Wire) -> Pop3Course:
    wires = {
        "refused": refused(),
        "keeps": keeps(*LETTERS),
        "drops": drops(),
        "between": looks(3),
        "deletes": deletes(*LETTERS[:2]),
        "after": rest(LETTERS[2]),
    } | other
    traffic: dict[str, Pop3Traffic] = {name: wire.traffic(folder / name) for name, wire in wires.items()}
    return Pop3Course(**traffic)


def test_m1_is_shown_by_authorization_keeping_and_deleting(tmp_path: Path) -> None:
    verdict = said(
        decide_pop3(course(tmp_path), LETTERS),
        "shown",
        "wrong password",
        "3 messages are downloaded unaltered (RETR from frame 11 on) and are all in the maildrop in the next session",
        "the 1 others remain",
    )
    assert verdict.frames


@pytest.mark.parametrize(
    ("other", "parts"),
    [
        ({"refused": refused(stat=b"+OK 3 1000")}, ("before the user is authenticated",)),
        (
            {"refused": refused(password=b"+OK come in", stat=b"+OK 3 1000")},
            ("The server accepts a wrong password in frame",),
        ),
        (
            {"keeps": keeps(LETTERS[0], LETTERS[1] + b"more\r\n", LETTERS[2])},
            ("that are not a message of the maildrop",),
        ),
        ({"keeps": keeps(LETTERS[0], LETTERS[0], LETTERS[2])}, ("that are not a message of the maildrop",)),
        ({"keeps": keeps(*LETTERS[:2])}, ("2 of 3 messages",)),
        ({"between": looks(2)}, ("but the maildrop has 2 messages in frame 10",)),
        ({"after": looks(3)}, ("2 of 3 messages were deleted",)),
        ({"between": looks(3, 17)}, ("'STAT' gets '+OK 3 17'", "the messages have")),
        (
            {"after": rest(LETTERS[0])},
            ("returns a message that was deleted, was downloaded before, or is not in the maildrop (SHA-256",),
        ),
        ({"after": rest(LETTERS[2], sizes=(5,))}, ("LIST reports 5 octets for the message",)),
        ({"after": looks(1, len(LETTERS[2]) + 1)}, ("the messages have",)),
        # Each download is a message of the maildrop, and what DELE removes is another one.
        ({"deletes": deletes(LETTERS[0], LETTERS[2])}, ("the messages have",)),
        ({"deletes": deletes(*LETTERS[:2], quits=b"-ERR not all of them")}, ("has no successful QUIT",)),
        ({"keeps": Pop3Wire().log_in().say("RETR 1", b"-ERR gone").quit()}, ("-ERR gone",)),
        ({"keeps": Pop3Wire().begin(b"hello")}, ("not a response",)),
        ({"between": Pop3Wire().log_in().say("STAT", b"+OK many").quit()}, ("without the number of messages",)),
    ],
)
def test_m1_fails_where_packets_contradict_it(
    tmp_path: Path, other: dict[str, Pop3Wire], parts: tuple[str, ...]
) -> None:
    verdict = said(decide_pop3(course(tmp_path, **other), LETTERS), "failed", *parts)
    assert verdict.frames


def test_m1_is_undecided_without_what_it_looks_at(tmp_path: Path) -> None:
    said(decide_pop3(course(tmp_path / "a", deletes=keeps()), LETTERS), "undecided", "No session has a DELE")
    said(decide_pop3(course(tmp_path / "f", drops=drops("QUIT")), LETTERS), "undecided", "without QUIT")
    said(decide_pop3(course(tmp_path / "g", after=looks(1, len(LETTERS[2]))), LETTERS), "undecided", "were downloaded")
    said(decide_pop3(course(tmp_path / "b", refused=Pop3Wire().begin().quit()), LETTERS), "undecided", "wrong password")
    lossy = keeps(*LETTERS)
    lose_one(lossy.wire)
    said(decide_pop3(course(tmp_path / "c", keeps=lossy), LETTERS), "undecided", "is incomplete")
    dropped = Pop3Course(**{**course(tmp_path / "d").__dict__, "after": looks(1).traffic(tmp_path / "e", dropped=2)})
    said(decide_pop3(dropped, LETTERS), "undecided", "dropped 2 packets")


def test_a_letter_has_lines_that_begin_with_a_dot() -> None:
    assert b"\r\n.line" in letter(1)
