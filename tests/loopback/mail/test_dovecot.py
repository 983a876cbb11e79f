"""Comparison with Dovecot on messages of every shape: structure, envelope, sections, search."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from lab7.services.mail.mime.structure import parse
from tests.loopback.mail.access import HOST, PATIENCE_S, access_process
from tests.loopback.mail.dovecot import PASSWORD, dovecot, program
from tests.loopback.mail.generated_messages import MessageGenerator

pytestmark = [pytest.mark.slow, pytest.mark.skipif(program() is None, reason="needs Dovecot, and root to start it")]

MESSAGES = 200
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")
Pair = tuple[imaplib.IMAP4, imaplib.IMAP4]


@pytest.fixture(scope="module")
def messages() -> list[bytes]:
    drawn = MessageGenerator(7)
    return [drawn.message() for _ in range(MESSAGES)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, messages: list[bytes]) -> Iterator[Pair]:
    root = tmp_path_factory.mktemp("pair")
    with access_process("imap", root / "ours") as port, dovecot(root / "theirs") as other:
        made = tuple(filled(one, messages) for one in (port, other.imap))
        yield made[0], made[1]
        for client in made:
            client.logout()


def filled(port: int, messages: list[bytes]) -> imaplib.IMAP4:
    client = imaplib.IMAP4(HOST, port, timeout=PATIENCE_S)
    client.login("alice", PASSWORD)
    for message in messages:
        assert client.append("INBOX", "", "", message)[0] == "OK"
    client.select()
    return client


def fetched(client: imaplib.IMAP4, numbers: str, item: str) -> dict[int, bytes]:
    """Return the responses per message with strings unquoted: a literal equals a quoted string."""
    status, data = client.fetch(numbers, f"({item})")
    assert status == "OK"
    found: dict[int, bytes] = {}
    number = 0
    for piece in data:
        octets = b"\r\n".join(piece) if isinstance(piece, tuple) else piece or b""
        match = re.match(rb"(\d+) \(", octets)
        if match is not None:
            number = int(match[1])
            found[number] = b""
        found[number] += octets
    return {number: _plain(octets) for number, octets in found.items()}


def _plain(octets: bytes) -> bytes:
    return re.sub(rb'\\(["\\])', rb"\1", _LITERAL.sub(b"", octets)).replace(b'"', b"")


@pytest.mark.parametrize(
    "item",
    [
        *("ENVELOPE", "BODYSTRUCTURE", "BODY", "RFC822.SIZE", "RFC822.HEADER", "BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]"),
        *("BODY.PEEK[HEADER.FIELDS (SUBJECT DATE)]", "BODY.PEEK[HEADER.FIELDS.NOT (TO X-FOLDED)]", "BODY.PEEK[1]"),
        *("BODY.PEEK[1.MIME]", "BODY.PEEK[1.HEADER]", "BODY.PEEK[2.TEXT]", "BODY.PEEK[]<10.50>"),
    ],
)
def test_all_messages_look_the_same(pair: Pair, item: str) -> None:
    ours, theirs = (fetched(client, "1:*", item) for client in pair)
    assert len(ours) == MESSAGES
    assert {number: octets for number, octets in ours.items() if octets != theirs[number]} == {}


def test_every_part_is_the_same(pair: Pair, messages: list[bytes]) -> None:
    """Only existing parts: RFC 3501 does not define the others."""
    compared = 0
    for number, message in enumerate(messages, start=1):
        sections = list(places(message))[:12]
        items = " ".join(f"BODY.PEEK[{one}] BODY.PEEK[{one}.MIME]" for one in sections)
        if items:
            ours, theirs = (fetched(client, str(number), items) for client in pair)
            assert ours == theirs
            compared += len(sections)
    assert compared > MESSAGES


def places(message: bytes) -> Iterator[str]:
    """Return the section numbers of all parts of a message."""
    waiting = [("", parse(message))]
    while waiting:
        name, part = waiting.pop()
        inside = part.message or part
        if inside.is_multipart:
            below = [(f"{name}.{n}".strip("."), child) for n, child in enumerate(inside.children, start=1)]
            yield from (one for one, _ in below)
            waiting += below


KEYS = [
    *("SUBJECT meeting", "SUBJECT cafe", "FROM ann", "TO undisclosed", "CC bob", 'FROM "example.com"', "BODY report"),
    *('HEADER X-Folded "one two"', "HEADER Received by", 'HEADER Message-ID ""', "HEADER Content-Type flowed"),
    *("SENTON 1-Jan-2001", "SENTSINCE 1-Jan-2010", "SENTBEFORE 1-Jan-2000", "SENTSINCE 1-Jan-2020", "LARGER 1000"),
    *('BODY "lunch budget"', "BODY STRASSE", 'TEXT "b.example"', 'BODY "b.example"', 'TEXT "multipart"', "TEXT draft"),
    *('BODY "Content-Type"', 'BODY "several parts"', 'BODY "The end"', "BODY jpeg", 'TEXT "Doe, Jane"', "SMALLER 700"),
    *(
        "OR SUBJECT draft BODY hello",
        "NOT TEXT world",
        "(BODY hello SUBJECT urgent)",
        "UID 5:9,100:* NOT 7",
        "2:4,9 NEW",
    ),
]


@pytest.mark.parametrize("keys", KEYS)
def test_the_same_messages_are_found(pair: Pair, keys: str) -> None:
    ours, theirs = (client.search(None, keys) for client in pair)
    assert ours == theirs


@pytest.mark.parametrize(
    "key_and_text",
    ["SUBJECT Grüße", "SUBJECT GRÜSSE", "BODY straße", "TEXT café", "FROM zoë", "BODY 東京", "BODY naïve", "TEXT 山田"],
)
def test_the_same_are_found_by_text_beyond_ascii(pair: Pair, key_and_text: str) -> None:
    key, _, text = key_and_text.partition(" ")
    answers = []
    for client in pair:
        client.literal = text.encode()  # type: ignore[assignment]
        answers.append(client.search("UTF-8", key))
    assert answers[0] == answers[1]


def test_the_comparison_can_fail(pair: Pair) -> None:
    """Two different messages compare as different."""
    one, other = (fetched(pair[0], number, "ENVELOPE") for number in ("1", "2"))
    assert one[1][2:] != other[2][2:]


def threaded(count: int) -> list[bytes]:
    """Return messages that refer to each other, with subjects, dates and identifiers that are missing at times."""
    chance = Random(5)
    messages = []
    for number in range(count):
        fields = [f"From: {chance.choice(('ann', 'Bob Jones <bob', 'zoe'))}{chance.randrange(3)}@example.com".encode()]
        if b"<" in fields[0]:
            fields[0] += b">"
        if chance.random() < 0.9:
            fields.append(f"Message-ID: <{number if chance.random() < 0.9 else chance.randrange(count)}@x>".encode())
        references = " ".join(f"<{chance.randrange(-3, number + 2)}@x>" for _ in range(chance.randrange(4)))
        if references:
            fields.append(f"{chance.choice(('References', 'In-Reply-To'))}: {references}".encode())
        words = (
            chance.choice(("Re: ", "Fwd: ", "[list] ", "re[2]: ", "", "")),
            chance.choice(("a", "B", "c d", "", "E")),
        )
        fields.append(f"Subject: {words[0]}{words[1]}{chance.choice((' (fwd)', '', '', ''))}".encode())
        time = f"{chance.randrange(1, 28)} Feb 2001 10:{chance.randrange(60):02}:00 +0{chance.randrange(9)}00"
        fields.append(f"Date: {time}".encode())
        messages.append(b"\r\n".join(fields) + b"\r\n\r\n" + b"x" * chance.randrange(200) + b"\r\n")
    return messages


@pytest.fixture(scope="module")
def threads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    root = tmp_path_factory.mktemp("threads")
    with access_process("imap", root / "ours") as port, dovecot(root / "theirs") as other:
        made = tuple(filled(one, threaded(120)) for one in (port, other.imap))
        yield made[0], made[1]
        for client in made:
            client.logout()


@pytest.mark.parametrize(
    "keys", ["SUBJECT", "DATE", "FROM", "REVERSE FROM SUBJECT", "SIZE", "DISPLAYFROM DATE", "CC ARRIVAL"]
)
def test_messages_are_sorted_the_same(threads: Pair, keys: str) -> None:
    ours, theirs = (client.sort(f"({keys})", "UTF-8", "ALL") for client in threads)
    assert ours == theirs


@pytest.mark.parametrize("algorithm", ["REFERENCES", "ORDEREDSUBJECT"])
def test_messages_are_threaded_the_same(threads: Pair, algorithm: str) -> None:
    ours, theirs = (client.thread(algorithm, "UTF-8", "ALL") for client in threads)
    assert ours == theirs


def expunged_and_asked(port: int, command: str) -> tuple[str, bool]:
    """Let a second session expunge message 1, then copy or move 1:2; return the reply's code, and whether any was."""
    first = filled(port, [b"Subject: one\r\n\r\n", b"Subject: two\r\n\r\n"])
    assert first.create("there")[0] == "OK"
    second = imaplib.IMAP4(HOST, port, timeout=PATIENCE_S)
    second.login("alice", PASSWORD)
    second.select()
    second.store("1", "+FLAGS", "\\Deleted")
    second.expunge()
    imaplib.Commands.setdefault("MOVE", ("SELECTED",))
    status, data = first._simple_command(command, "1:2", "there")
    code = re.match(rb"(?:\[(\w+)\])?", data[-1] or b"")
    copied = second.status("there", "(MESSAGES)")[1][0] != b"there (MESSAGES 0)"
    first.logout()
    second.logout()
    return f"{status} {code[1].decode() if code and code[1] else ''}", copied


@pytest.mark.parametrize("command", ["COPY", "MOVE"])
def test_a_message_that_another_session_expunged_is_not_copied(tmp_path: Path, command: str) -> None:
    with access_process("imap", tmp_path / "ours") as port, dovecot(tmp_path / "theirs") as other:
        ours, theirs = expunged_and_asked(port, command), expunged_and_asked(other.imap, command)
    assert ours == ("NO EXPUNGEISSUED", False)
    assert ours == theirs
