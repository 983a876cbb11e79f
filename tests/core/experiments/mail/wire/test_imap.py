"""The judge of IMAP: the grammar with its literals, and M2 with captures that show it and that contradict it."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.experiments.harness.judge.reassembly import Piece, Stream
from lab7.experiments.mail.claims.imap import ImapCourse, MailboxTask, decide_imap, fetched_messages
from lab7.experiments.mail.wire.imap import ImapTraffic
from lab7.experiments.mail.wire.imap_grammar import ImapGrammarError, read_command, read_responses, read_values
from tests.core.experiments.harness.verdicts import lose_one, said
from tests.core.experiments.mail.mailbox_wire import LETTERS, ImapWire, Pop3Wire, literal

ATTACHMENT = b"the ring"
ASKED = MailboxTask(b"a picture", "Kept", ATTACHMENT)
ASKED_PART = LETTERS[1][:20]


def stream(data: bytes) -> Stream:
    return Stream(data, (Piece(0, len(data), 1, 0),) if data else (), whole=True)


def test_a_command_holds_its_literals() -> None:
    line = b'a1 UID APPEND "In box" {7+}\r\na)\r\n"(* {2}\r\nxy\r\n'
    found = read_command(stream(line + b"a2 NOOP\r\n"), 0)
    assert found is not None
    assert (found.tag, found.verb, found.by_uid, found.octets) == ("a1", "APPEND", True, line)


@pytest.mark.parametrize(
    "line", [b"a1\r\n", b"a1 NOOP\n", b"+ NOOP\r\n", b"* NOOP\r\n", b"a1 X {9}\r\nshort\r\n", b"(a NOOP\r\n"]
)
def test_what_is_no_command_is_an_error(line: bytes) -> None:
    with pytest.raises(ImapGrammarError):
        read_command(stream(line), 0)


@pytest.mark.parametrize(
    ("octets", "tag", "status", "name", "number"),
    [
        (b"* OK ready", "*", "OK", "", None),
        (b"* 3 EXISTS", "*", "", "EXISTS", 3),
        (b"* search 1 2", "*", "", "SEARCH", None),
        (b"a1 NO [CANNOT] sorry", "a1", "NO", "", None),
        (b"+ go on", "+", "", "", None),
        (b"* BYE", "*", "BYE", "", None),
    ],
)
def test_a_response_is_read(octets: bytes, tag: str, status: str, name: str, number: int | None) -> None:
    (found,) = read_responses(stream(octets + b"\r\n"))
    assert (found.tag, found.status, found.name, found.number) == (tag, status, name, number)


def test_values_are_atoms_strings_and_lists_of_them() -> None:
    text = b'(UID 5 FLAGS (\\Seen $Work) BODY[HEADER.FIELDS (TO "x")]<0> {4}\r\n"(\r\n ENVELOPE ("a \\"b\\"" NIL))'
    assert read_values(text) == [
        [
            "UID",
            "5",
            "FLAGS",
            ["\\Seen", "$Work"],
            'BODY[HEADER.FIELDS (TO "x")]<0>',
            b'"(\r\n',
            "ENVELOPE",
            [b'a "b"', "NIL"],
        ]
    ]


@pytest.mark.parametrize("text", [b"(a", b"a)", b'"open', b"{5}\r\nabc", b"{x}", b"a {"])
def test_what_are_no_values_is_an_error(text: bytes) -> None:
    with pytest.raises(ImapGrammarError):
        read_values(text)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4))
def test_any_octets_come_back_from_literals(contents: list[bytes]) -> None:
    data = b"".join(b"* " + literal(number, "BODY[]", one) + b"\r\n" for number, one in enumerate(contents, 1))
    found = list(read_responses(stream(data + b"a1 OK done\r\n")))
    assert [one.values for one in found[:-1]] == [[["BODY[]", one]] for one in contents]


def test_data_belong_to_the_command_that_is_completed_next(tmp_path: Path) -> None:
    wire = ImapWire().log_in().say("IDLE", b"4 EXISTS")
    wire.tcp.client("PA", b"DONE\r\n")
    (session,) = wire.say("NOOP").quit().traffic(tmp_path).sessions
    assert session.problem is None
    assert [one.verb for one in session.exchanges] == ["LOGIN", "SELECT", "IDLE", "NOOP", "LOGOUT"]
    assert [one.number for one in session.exchanges[1].data("EXISTS")] == [3]
    assert session.exchanges[-1].preliminary[0].status == "BYE"


def test_a_completion_of_nothing_and_a_tag_used_twice_are_problems(tmp_path: Path) -> None:
    wire = ImapWire().log_in()
    wire.tcp.server("PA", b"b9 OK what?\r\n")
    (session,) = wire.traffic(tmp_path / "a").sessions
    assert session.problem is not None
    assert "belongs to no command" in session.problem
    again = ImapWire().log_in()
    again.tag = 0
    (session,) = again.say("NOOP").traffic(tmp_path / "b").sessions
    assert session.problem == "the tag a1 is used twice"


def test_a_message_may_come_as_header_and_text(tmp_path: Path) -> None:
    header, _, text = LETTERS[0].partition(b"\r\n\r\n")
    wire = ImapWire().log_in().fetch("RFC822.HEADER", header + b"\r\n\r\n").fetch("BODY[TEXT]", text).quit()
    assert fetched_messages(wire.traffic(tmp_path).sessions[0]) == {1: LETTERS[0]}


def everything(*contents: bytes) -> ImapWire:
    return ImapWire().log_in().fetch("BODY[]", *contents).quit()


def works(
    found: bytes = b"SEARCH 2",
    part: bytes = ASKED_PART,
    store: str = "OK",
    middle: bytes = LETTERS[1][10:30],
    others: bytes = b"SEARCH 1 3",
    item: str = "BODY[]<0>",
) -> ImapWire:
    wire = ImapWire().log_in().say("CREATE Kept").say('SEARCH SUBJECT "a picture"', found)
    wire.say("STORE 2 +FLAGS (\\Flagged)", b"2 FETCH (FLAGS (\\Flagged))", status=store).say("COPY 2 Kept")
    wire.say("FETCH 2 (BODY.PEEK[]<0.20>)", literal(2, item, part))
    wire.say("FETCH 2 (BODY.PEEK[]<10.20>)", literal(2, "BODY[]<10>", middle))
    wire.say("STORE 1 +FLAGS (\\Answered)").say("STORE 1 -FLAGS (\\Answered)")
    return wire.say('SEARCH NOT SUBJECT "a picture"', others).quit()


FLAGS = (b"\\Seen", b"\\Flagged \\Seen", b"\\Seen")


def looks(
    count: int = 3,
    found: bytes = b"SEARCH 2",
    inside: int = 1,
    name: bytes = b"Kept",
    flags: tuple[bytes, ...] = FLAGS,
) -> ImapWire:
    wire = ImapWire().log_in(count, "EXAMINE").say("SEARCH FLAGGED", found)
    wire.say("STATUS Kept (MESSAGES)", b"STATUS Kept (MESSAGES %d)" % inside)
    wire.say('LIST "" *', b'LIST (\\HasNoChildren) "/" INBOX', b'LIST () "/" ' + name)
    return wire.say("FETCH 1:* (FLAGS)", *(b"%d FETCH (FLAGS (%s))" % one for one in enumerate(flags, 1))).quit()


def folder(*contents: bytes) -> ImapWire:
    return ImapWire().log_in(len(contents), "EXAMINE").fetch("BODY[]", *contents).quit()


def attachment(part: bytes = base64.encodebytes(ATTACHMENT), item: str = "BODY[2]") -> ImapWire:
    return ImapWire().log_in().say("FETCH 2 (BODY.PEEK[2])", literal(2, item, part)).quit()


def headers(*contents: bytes, beside: bytes = b"0 RECENT") -> ImapWire:
    heads = [content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" for content in contents]
    return ImapWire().log_in().fetch("BODY[HEADER]", *heads).say("NOOP", beside).quit()


def top(*contents: bytes) -> Pop3Wire:
    wire = Pop3Wire().log_in()
    for number, content in enumerate(contents or LETTERS, start=1):
        wire.say(f"TOP {number} 0", b"+OK", content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    return wire.quit()


def download(*contents: bytes) -> Pop3Wire:
    # A large message is what a download moves and a header does not.
    return Pop3Wire().log_in().retrieve(*contents).say("RETR 9", b"+OK", b"x" * 900 + b"\r\n").quit()


def course(place: Path, **other: ImapWire) -> ImapCourse:
    wires = {
        "everything": everything(*LETTERS),
        "works": works(),
        "looks": looks(),
        "folder": folder(LETTERS[1]),
        "headers": headers(*LETTERS),
        "attachment": attachment(),
    }
    traffic: dict[str, ImapTraffic] = {name: one.traffic(place / name) for name, one in (wires | other).items()}
    return ImapCourse(
        **traffic,
        top=top().traffic(place / "top"),
        download=download(*LETTERS[:2]).traffic(place / "download"),
    )


def test_m2_is_shown_by_a_folder_a_flag_a_search_and_a_part(tmp_path: Path) -> None:
    verdict = decide_imap(course(tmp_path), LETTERS, ASKED)
    said(
        verdict,
        "shown",
        "Folder Kept",
        "and POP3's optional TOP 243 in 6",
        "40 octets",
        "Flag: set in frame 13",
        "IMAP moves",
    )


@pytest.mark.parametrize(
    ("other", "part"),
    [
        ({"everything": everything(LETTERS[0], b"Subject: x\r\n\r\n", LETTERS[2])}, "is not a message of the mailbox"),
        ({"everything": everything(*LETTERS[:2])}, "2 of 3 messages"),
        ({"works": works(found=b"SEARCH 1 2")}, "SEARCH in frame"),
        ({"works": works(part=LETTERS[0][5:20])}, "but the client requested octets 0 to 20 of message 2"),
        ({"works": works(part=LETTERS[1])}, "but the client requested octets 0 to 20 of message 2"),
        ({"works": works(part=LETTERS[1][:19])}, "but the client requested octets 0 to 20 of message 2"),
        ({"works": works(part=LETTERS[1], item="BODY[]")}, "No part is returned in frame"),
        ({"works": works(middle=LETTERS[1][:20])}, "but the client requested octets 10 to 30 of message 2"),
        ({"works": works(others=b"SEARCH 1 2 3")}, "the search is negated"),
        ({"works": works(others=b"SEARCH 2")}, "the search is negated"),
        ({"looks": looks(flags=(b"", b"", b""))}, "['\\\\flagged']"),
        ({"looks": looks(flags=(b"\\Answered", *FLAGS[1:]))}, "but STORE had set []"),
        ({"looks": looks(flags=FLAGS[:1])}, "FETCH in frame 15 does not return message 2"),
        ({"folder": folder(LETTERS[0])}, "not the copied one"),
        ({"folder": folder(LETTERS[1], LETTERS[1])}, "the folder has"),
        ({"attachment": attachment(base64.encodebytes(ATTACHMENT[::-1]))}, "which are not the attachment"),
        ({"attachment": attachment(item="BODY[TEXT]")}, "fetches no attachment"),
        ({"headers": headers(LETTERS[1], LETTERS[0], LETTERS[2])}, "The header of message 1"),
        ({"works": works(store="NO")}, "STORE"),
        ({"looks": looks(found=b"SEARCH")}, "but SEARCH in frame 10 finds []"),
        ({"looks": looks(inside=0)}, "but STATUS in frame 12 reports ['0'] messages in Kept"),
        ({"looks": looks(name=b"Other")}, "Kept is not listed"),
        ({"looks": looks(count=2)}, "The mailbox has [2] messages in frame 8"),
        ({"headers": headers(*LETTERS, beside=b"1 FETCH (FLAGS (" + b"x" * 1400 + b"))")}, "IMAP moves"),
    ],
)
def test_m2_fails_where_packets_contradict_it(tmp_path: Path, other: dict[str, ImapWire], part: str) -> None:
    verdict = said(decide_imap(course(tmp_path, **other), LETTERS, ASKED), "failed", part)
    assert verdict.frames


def test_m2_fails_where_top_brings_another_header(tmp_path: Path) -> None:
    wrong = top(LETTERS[1], LETTERS[0], LETTERS[2]).traffic(tmp_path / "wrong")
    said(
        decide_imap(replace(course(tmp_path), top=wrong), LETTERS, ASKED),
        "failed",
        "'TOP 1 0",
        "returns a header that differs from the stored one",
    )


def test_m2_is_undecided_without_what_it_looks_at(tmp_path: Path) -> None:
    said(decide_imap(course(tmp_path / "a", works=ImapWire().log_in().quit()), LETTERS, ASKED), "undecided", "has no")
    said(
        decide_imap(course(tmp_path / "b", headers=headers(LETTERS[0])), LETTERS, ASKED),
        "undecided",
        "messages, or POP3 did not fetch all messages and headers",
    )
    said(
        decide_imap(course(tmp_path / "c"), LETTERS, MailboxTask(b"nowhere", "Kept", ATTACHMENT)),
        "undecided",
        "0 messages, not one",
    )
    lossy = everything(*LETTERS)
    lose_one(lossy.wire)
    said(decide_imap(course(tmp_path / "d", everything=lossy), LETTERS, ASKED), "undecided", "is incomplete")


def test_m2_fails_where_a_response_is_out_of_the_grammar(tmp_path: Path) -> None:
    broken = ImapWire().log_in().say("FETCH 1:* (BODY[])", b"1 FETCH (BODY[]").quit()
    said(decide_imap(course(tmp_path, everything=broken), LETTERS, ASKED), "failed", "A response violates the grammar")
