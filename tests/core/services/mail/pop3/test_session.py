"""POP3 sessions as transcripts (RFC 1939, RFC 2449)."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.access.requests import Challenge, LogIn, Opened, Outputs, StartCompression, StartTls
from lab7.services.mail.maildir.store import Maildir
from lab7.services.mail.pop3.limits import BAD_COMMANDS_MAX, FAILED_LOGINS_MAX
from lab7.services.mail.pop3.session import Session
from lab7.services.mail.pop3.session_state import Capabilities, State
from lab7.services.mail.pop3.transaction import byte_stuffed

TIMESTAMP = b"<1896.697170952@dbc.mtview.ca.us>"
DOTS = b"Subject: dots\r\n\r\n.one\r\n..\r\n.\r\nend without a line"


class Client:
    """A client of one session."""

    def __init__(self, maildir: Maildir, offer: Capabilities | None = None, logged_in: bool = True) -> None:
        self.maildir = maildir
        self.session = Session(offer or Capabilities(timestamp=TIMESTAMP))
        if logged_in:
            self.send(b"USER alice\r\nPASS secret\r\n")

    def send(self, octets: bytes) -> bytes:
        return b"".join(self._answered(self.session.receive(octets)))

    def _answered(self, outputs: Outputs) -> Iterator[bytes]:
        answer: object = None
        while True:
            try:
                output = outputs.send(answer)
            except StopIteration:
                return
            answer = None
            if isinstance(output, bytes):
                yield output
            elif isinstance(output, StartTls | StartCompression) or not self._proves(output):
                continue
            else:
                answer = Opened("alice@example.com", self.maildir)

    @staticmethod
    def _proves(request: LogIn | Challenge) -> bool:
        if isinstance(request, LogIn):
            return (request.user, request.password) == ("alice", "secret")
        digest = hashlib.md5(TIMESTAMP + b"secret", usedforsecurity=False).hexdigest().encode()
        return (request.user, request.digest) == ("alice", digest)

    def play(self, transcript: str) -> None:
        """Send the client lines (C:) and compare the server lines (S:); `...` matches any octets."""
        pending: list[bytes] = []
        for line in filter(None, (one.strip() for one in transcript.splitlines())):
            who, _, text = line.partition(" ")
            if who == "C:":
                assert pending == []
                pending = self.send(text.encode() + b"\r\n").splitlines()
                continue
            begin, rest, end = text.partition("...")
            said = pending.pop(0).decode("latin-1")
            assert said.startswith(begin) and said.endswith(end) if rest else said == text, f"{said!r} is not {text!r}"
        assert pending == []


@pytest.fixture
def maildir(tmp_path: Path) -> Maildir:
    made = Maildir(tmp_path / "box")
    made.deliver_many([b"Subject: one\r\n\r\nfirst\r\nsecond\r\n", DOTS])
    return made


def test_log_in_by_name_and_password(maildir: Maildir) -> None:
    Client(maildir, logged_in=False).play("""
        C: STAT
        S: -ERR ...
        C: PASS secret
        S: -ERR ...
        C: USER alice
        S: +OK ...
        C: PASS wrong
        S: -ERR [AUTH] ...
        C: user alice
        S: +OK ...
        C: NOOP
        S: -ERR ...
        C: USER alice
        S: +OK ...
        C: PASS secret
        S: +OK 2 messages (...
        C: USER alice
        S: -ERR ...
    """)


def test_log_in_by_a_digest(maildir: Maildir) -> None:
    """The timestamp is the example of RFC 1939 section 7."""
    digest = hashlib.md5(TIMESTAMP + b"secret", usedforsecurity=False).hexdigest()
    client = Client(maildir, logged_in=False)
    assert TIMESTAMP in client.session.greeting()
    client.play(f"""
        C: APOP alice {"0" * 32}
        S: -ERR [AUTH] ...
        C: APOP alice xyz
        S: -ERR ...
        C: APOP alice {digest}
        S: +OK ...
    """)


def test_plain(maildir: Maildir) -> None:
    Client(maildir, logged_in=False).play("""
        C: AUTH
        S: +OK
        S: PLAIN
        S: .
        C: AUTH PLAIN
        S: +...
        C: *
        S: -ERR ...
        C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
        S: +OK ...
    """)


def test_list_retrieve_and_delete(maildir: Maildir) -> None:
    client = Client(maildir)
    client.play("""
        C: STAT
        S: +OK 2 81
        C: LIST
        S: +OK 2 messages.
        S: 1 31
        S: 2 50
        S: .
        C: LIST 2
        S: +OK 2 50
        C: LIST 3
        S: -ERR ...
        C: RETR 2
        S: +OK 50 octets.
        S: Subject: dots
        S: ...
        S: ..one
        S: ...
        S: ..
        S: end without a line
        S: .
    """)


def test_the_top_of_a_message_and_marks(maildir: Maildir) -> None:
    client = Client(maildir)
    client.play("""
        C: TOP 1 1
        S: +OK ...
        S: Subject: one
        S: ...
        S: first
        S: .
        C: TOP 1 0
        S: +OK ...
        S: Subject: one
        S: ...
        S: .
        C: DELE 1
        S: +OK ...
        C: RETR 1
        S: -ERR ...
        C: DELE 1
        S: -ERR ...
        C: STAT
        S: +OK 1 50
        C: LIST
        S: +OK 1 messages.
        S: 2 50
        S: .
        C: RSET
        S: +OK ...
        C: STAT
        S: +OK 2 81
        C: DELE 2
        S: +OK ...
        C: QUIT
        S: +OK ...
        C: STAT
    """)
    assert client.session.ended
    assert Client(maildir).send(b"STAT\r\n") == b"+OK 1 31\r\n"


def test_nothing_is_removed_without_quit(maildir: Maildir) -> None:
    client = Client(maildir)
    client.send(b"DELE 1\r\nDELE 2\r\n")
    assert client.session.end("Too long.") == b"-ERR Too long.\r\n"
    assert Client(maildir).send(b"STAT\r\n") == b"+OK 2 81\r\n"


def test_one_session_at_a_time(maildir: Maildir, tmp_path: Path) -> None:
    first = Client(maildir)
    other = Client(Maildir(tmp_path / "box"), logged_in=False)
    other.play("""
        C: USER alice
        S: +OK ...
        C: PASS secret
        S: -ERR [IN-USE] ...
    """)
    first.send(b"QUIT\r\n")
    other.play("""
        C: USER alice
        S: +OK ...
        C: PASS secret
        S: +OK ...
    """)


def test_unique_identifiers_stay(maildir: Maildir, tmp_path: Path) -> None:
    first = Client(maildir)
    before = first.send(b"UIDL\r\n").splitlines()[1:-1]
    first.send(b"DELE 1\r\nQUIT\r\n")
    maildir.deliver(b"Subject: three\r\n\r\n")
    after = Client(Maildir(tmp_path / "box")).send(b"UIDL\r\n").splitlines()[1:-1]
    assert [line.split()[0] for line in after] == [b"1", b"2"]
    assert before[1].split()[1] == after[0].split()[1]
    assert after[1].split()[1] not in b" ".join(before).split()


def test_new_messages_wait_for_the_next_session(maildir: Maildir) -> None:
    client = Client(maildir)
    maildir.deliver(b"Subject: new\r\n\r\n")
    assert client.send(b"STAT\r\n") == b"+OK 2 81\r\n"


def test_a_message_that_another_program_removed_is_an_error(maildir: Maildir, tmp_path: Path) -> None:
    client = Client(maildir)
    for file in (tmp_path / "box" / "new").iterdir():
        file.unlink()
    client.play("""
        C: RETR 1
        S: -ERR ...
        C: DELE 1
        S: +OK ...
        C: QUIT
        S: +OK ...
    """)


def test_capabilities(maildir: Maildir) -> None:
    words = (
        Client(maildir, Capabilities(tls=True, needs_tls=True, timestamp=TIMESTAMP), False)
        .send(b"CAPA\r\n")
        .split(b"\r\n")
    )
    assert {b"TOP", b"UIDL", b"STLS", b"RESP-CODES", b"PIPELINING"} < set(words)
    assert b"USER" not in words
    assert words[-2:] == [b".", b""]


def test_tls_first_where_it_is_needed(maildir: Maildir) -> None:
    client = Client(maildir, Capabilities(tls=True, needs_tls=True, timestamp=TIMESTAMP), logged_in=False)
    assert client.send(b"USER alice\r\n").startswith(b"-ERR")
    assert client.send(b"STLS\r\nUSER eve\r\n") == b"+OK Begin TLS negotiation now.\r\n"
    assert client.send(b"USER alice\r\nPASS secret\r\n").count(b"+OK") == 2


@pytest.mark.parametrize(
    "line", ["BOGUS", "STAT 1", "RETR", "RETR x", "RETR 1 2", "TOP 1", "TOP 1 -1", "LIST  1", "", " "]
)
def test_what_is_not_well_formed_is_an_error(maildir: Maildir, line: str) -> None:
    assert Client(maildir).send(line.encode() + b"\r\n").startswith(b"-ERR")


@pytest.mark.parametrize("number", ["0", "3", "99999999999999999999", "-1"])
def test_messages_that_are_not_there(maildir: Maildir, number: str) -> None:
    assert Client(maildir).send(f"RETR {number}\r\n".encode()).startswith(b"-ERR")


@pytest.mark.parametrize("number", ["99999999999", "9" * 5000, "0" * 20 + "1"], ids=len)
def test_numbers_may_have_any_length(maildir: Maildir, number: str) -> None:
    client = Client(maildir)
    assert client.send(f"TOP 1 {number}\r\n".encode()).startswith(b"+OK ")
    assert client.send(f"RETR {number}\r\n".encode()).startswith((b"-ERR There is no such message.", b"+OK "))


def test_mistakes_and_guesses_are_bounded(maildir: Maildir) -> None:
    client = Client(maildir, logged_in=False)
    assert client.send(b"BOGUS\r\n" * 100).count(b"-ERR") == BAD_COMMANDS_MAX
    assert client.session.ended
    client = Client(maildir, logged_in=False)
    assert client.send(b"USER alice\r\nPASS x\r\n" * 100).count(b"-ERR") == FAILED_LOGINS_MAX
    assert client.session.state is State.ENDED


def test_a_line_without_end_is_an_error_once(maildir: Maildir) -> None:
    answer = Client(maildir).send(b"x" * 1_000_000 + b"\r\nNOOP\r\n")
    assert answer.count(b"-ERR") == 1
    assert answer.endswith(b"+OK Here.\r\n")


@given(st.lists(st.sampled_from([b".", b"\r\n", b"x", b"\r", b"\n"]), max_size=30).map(b"".join))
def test_stuffing_is_undone_by_its_rule(content: bytes) -> None:
    sent = b"".join(byte_stuffed(content))
    assert sent.endswith(b".\r\n")
    lines = sent[: -len(b".\r\n")].split(b"\r\n")
    assert lines.pop() == b""
    assert not any(line == b"." for line in lines)
    plain = b"".join(line.removeprefix(b".") + b"\r\n" for line in lines)
    assert plain in (content, content + b"\r\n")


WORDS = st.sampled_from(
    [b"USER alice\r\n", b"PASS secret\r\n", b"RETR 1\r\n", b"DELE 2", b"\r\n", b"TOP ", b"1 ", b"QUIT\r\n"]
)


@given(st.lists(st.one_of(WORDS, st.binary(max_size=5)), max_size=20).map(b"".join), st.booleans())
def test_any_octets_are_answered_line_by_line(octets: bytes, in_pieces: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        maildir = Maildir(Path(folder) / "box")
        maildir.deliver(DOTS)
        client = Client(maildir, logged_in=False)
        pieces = [bytes([one]) for one in octets] if in_pieces else [octets]
        answer = b"".join(client.send(piece) for piece in pieces)
        client.session.release()
        assert answer == b"" or answer.endswith(b"\r\n")


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: x\r\n\r\nbody\r\n",
        b"\r\nno line end",
        b"\r\na\r\r\nb\r\r\n",
        b"\r\na\r\n\r\r\r\nb",
        b"\r\nbare\nLF and bare\rCR\r",
        b"\r\n.dots\r\n..\r\n.",
        b"",
        b"\n",
    ],
)
@pytest.mark.parametrize("is_named", [True, False], ids=["delivered here", "by another program"])
def test_sizes_are_those_of_the_octets_sent(tmp_path: Path, content: bytes, is_named: bool) -> None:
    maildir = Maildir(tmp_path)
    if is_named:
        maildir.deliver(content)
    else:
        (tmp_path / "new" / "1.other.host").write_bytes(content)
    client = Client(maildir)
    client.send(b"USER alice\r\nPASS secret\r\n")
    listed = int(client.send(b"LIST 1\r\n").split()[2])
    total = int(client.send(b"STAT\r\n").split()[2])
    head, _, sent = client.send(b"RETR 1\r\n").partition(b"\r\n")
    message = re.sub(rb"(?m)^\.(?=.)", b"", sent.removesuffix(b".\r\n"), flags=re.DOTALL)
    assert listed == total == len(message) == int(head.split()[1])


def test_input_after_the_end_of_a_session_is_ignored_however_long(maildir: Maildir) -> None:
    client = Client(maildir)
    said = client.send(b"QUIT\r\n" + b"x\r\n" * 100_000)
    assert client.session.ended
    assert said.count(b"\r\n") == 1
    client = Client(maildir)
    assert client.send(b"x\r\n" * 100_000).count(b"-ERR") == BAD_COMMANDS_MAX
    assert client.session.ended
