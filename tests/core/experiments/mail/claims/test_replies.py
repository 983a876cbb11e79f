"""S6: each of the 21 codes is shown by its cause, and not where the cause is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from lab7.experiments.harness.judge.frames import connections
from lab7.experiments.harness.judge.verdict import Contradiction
from lab7.experiments.mail.claims.refusals import CHECKS
from lab7.experiments.mail.claims.replies import CODES, Scenario, decide_reply_causes
from lab7.experiments.mail.wire.smtp import SmtpTraffic
from tests.core.experiments.harness.verdicts import said
from tests.core.experiments.harness.wire import INTERFACE, START_NS, Tcp, Wire
from tests.core.experiments.mail.smtp_wire import (
    ALICE,
    BOB,
    PLAIN,
    RECEIVER,
    RTT_MS,
    SENDER,
    SmtpWire,
    another,
    read_by_pop3,
    stuffed,
)

MAIL = ("MAIL FROM:<alice@example.org>", 250)
BOBS, NOBODYS = "RCPT TO:<bob@example.com>", "RCPT TO:<nobody@example.com>"
STATUS = "mail.example.com is up, you are 10.0.1.1\nHELO EHLO"
Build = Callable[[], SmtpWire]


def begin() -> SmtpWire:
    return SmtpWire(client=ALICE).begin().hello()


def messages(*codes: int) -> SmtpWire:
    """The same message again and again, answered so, a pause behind each."""
    one = begin()
    for code in codes:
        one.message(code=code).wire.after(1000)
    return one.quit()


def elsewhere(user: str) -> SmtpWire:
    """551 for erin, and a question for `user` at another server."""
    one = begin().say(*MAIL).say("RCPT TO:<erin@example.com>", 551, "please try <erin@example.org>").quit()
    other = SmtpWire(one.wire, 40001, client=ALICE, server=SENDER).begin().hello().say(*MAIL)
    return other.say(f"RCPT TO:<{user}@example.org>", 250).quit()


def stopped(unasked: bool = True, closes: bool = True, refuses: bool = True) -> SmtpWire:
    one = begin()
    one.wire.after(100)
    if unasked:
        one.reply(421, "closing down")
    if closes:
        one.tcp.close()
    one.wire.after(10)
    late = SmtpWire(one.wire, 40001, client=ALICE)
    late.tcp.client("S")
    if refuses:
        late.tcp.server("RA")
    return one


def late(milliseconds: float, code: int = 250, again: int = 450) -> SmtpWire:
    one = begin().say(*MAIL).say(BOBS, 450)
    if again:
        one.say(BOBS, again)
    one.wire.after(milliseconds)
    return one.say(BOBS, code).quit()


SHOWN: Mapping[int, Build] = {
    211: lambda: begin().say("HELP", 211, STATUS).quit(),
    214: lambda: begin().say("HELP MAIL", 214, "MAIL FROM:<path>").say("HELP RCPT", 214, "RCPT TO:<path>").quit(),
    220: lambda: begin().quit(),
    221: lambda: begin().quit(),
    250: lambda: begin().message().quit(),
    251: lambda: (
        (
            begin()
            .say(*MAIL)
            .say("RCPT TO:<dave@example.com>", 251, "will forward to <alice@example.org>")
            .say("DATA", 354)
        )
        .data(stuffed(PLAIN))
        .quit()
    ),
    354: lambda: begin().say(*MAIL).say("DATA", 503).say(BOBS, 250).say("DATA", 354).data(stuffed(PLAIN)).quit(),
    421: stopped,
    450: lambda: late(600),
    451: lambda: messages(451, 250),
    452: lambda: begin().say(*MAIL).say("RSET", 250).say(MAIL[0], 452).say(*MAIL).quit(),
    500: lambda: begin().say("FROB", 500).say("NOOP", 250).quit(),
    501: lambda: begin().say("MAIL FROM:alice@example.org", 501).say(*MAIL).quit(),
    502: lambda: begin().say("TURN", 502).quit(),
    503: lambda: begin().say(BOBS, 503).say(*MAIL).say(BOBS, 250).quit(),
    504: lambda: begin().say(f"{MAIL[0]} BODY=BINARYMIME", 504).say(f"{MAIL[0]} BODY=8BITMIME", 250).quit(),
    550: lambda: begin().say(*MAIL).say(NOBODYS, 550).say(BOBS, 250).quit(),
    551: lambda: elsewhere("erin"),
    552: lambda: messages(250, 552, 250),
    553: lambda: begin().say(*MAIL).say("RCPT TO:<no one@example.com>", 553).say(BOBS, 250).quit(),
    554: lambda: (
        begin()
        .say(*MAIL)
        .say(NOBODYS, 550)
        .say("DATA", 554)
        .say(BOBS, 250)
        .say("DATA", 354)
        .data(stuffed(PLAIN))
        .quit()
    ),
}
FACTS: Mapping[int, Mapping[str, float]] = {
    421: {"stopped_ns": START_NS + 1.0},
    450: {"delay_s": 0.5},
    451: {"read_only": 1.0, "read_only_later": 0.0},
    452: {"free_octets": 0.0, "free_octets_later": 1e6},
    552: {"quota_octets": 1.5 * len(PLAIN)},
}
FAILS: list[tuple[int, Build, str]] = [
    (
        211,
        lambda: begin().say("HELP", 211, "yes").quit(),
        "The reply to HELP has neither the server's name nor the client's address",
    ),
    (211, lambda: begin().say("HELP MAIL", 211, STATUS).quit(), "but the command requests help on one command"),
    (211, lambda: begin().say("NOOP", 211, STATUS).quit(), "the replies are 220 250 211 221"),
    (214, lambda: begin().say("HELP MAIL", 214, "yes").say("HELP RCPT", 214, "yes").quit(), "does not describe MAIL"),
    (214, lambda: begin().say("HELP MAIL", 214, "MAIL").quit(), "no HELP gets 214"),
    (214, lambda: begin().say("HELP MAIL", 214, "RCPT MAIL").say("HELP RCPT", 214, "RCPT MAIL").quit(), "the same"),
    (220, lambda: SmtpWire(client=ALICE).begin("554 no").quit(), "does not begin with 220"),
    (221, lambda: begin().say("QUIT", 221), "The server replies 221, but does not close the connection"),
    (221, lambda: begin().quit("client"), "The server replies 221, but does not close the connection"),
    (
        250,
        lambda: begin().message(PLAIN.replace(b"hidden", b"other")).quit(),
        "The message gets 250, but the recipient cannot retrieve it",
    ),
    (250, lambda: begin().message(rcpt=251).quit(), "not 250"),
    (
        251,
        lambda: begin().say(*MAIL).say(BOBS, 251, "to <x@example.org>").quit(),
        "but no message is accepted for this recipient",
    ),
    (
        251,
        lambda: begin().message(rcpt=251).quit(),
        "but the server does not forward the message to the mailbox in the reply",
    ),
    (354, lambda: begin().message().quit(), "DATA was not tried before"),
    (
        354,
        lambda: begin().message(code=554).quit(),
        "DATA gets 354, but the lines after it are not accepted as mail data",
    ),
    (421, lambda: stopped(unasked=False), "The server sends no unsolicited 421"),
    (421, lambda: stopped(closes=False), "leaves the connection open"),
    (
        421,
        lambda: stopped(refuses=False),
        "The server sends 421, but it accepts new connections, or the client opened none",
    ),
    (450, lambda: late(600, 450), "never gets 250 or 251"),
    (450, lambda: late(100), "s, before the end of the greylisting delay"),
    (450, lambda: late(600, again=250), "s, before the end of the greylisting delay"),
    (450, lambda: late(600, again=0), "The same RCPT was not repeated before the end of the greylisting delay"),
    (451, lambda: messages(451, 451), "never gets 250"),
    (452, lambda: begin().say("MAIL FROM:<alice@example.org>", 452).quit(), "but the same command never gets"),
    (452, lambda: begin().say(MAIL[0], 452).say(*MAIL).quit(), "but the same command was not accepted before"),
    (500, lambda: begin().say("TURN", 500).say("NOOP", 250).quit(), "but the verb is defined by an RFC"),
    (500, lambda: begin().say("FROB", 500).quit(), "but no later command gets 250"),
    (501, lambda: begin().say("MAIL FROM:<>", 501).say(*MAIL).quit(), "but the command has valid syntax"),
    (501, lambda: begin().say("MAIL FROM:a", 501).quit(), "no MAIL gets 250"),
    (502, lambda: begin().say("NOOP", 502).quit(), "but the verb is not defined by an RFC on SMTP extensions"),
    (
        502,
        lambda: SmtpWire(client=ALICE).begin().say("EHLO x", 250, "x\nETRN").say("ETRN x", 502).quit(),
        "The server announces ETRN",
    ),
    (503, lambda: begin().say(BOBS, 503).say(BOBS, 250).quit(), "but the same command is accepted at once afterwards"),
    (
        503,
        lambda: begin().say("RCPT TO:bob", 503).say(*MAIL).quit(),
        "but the command has invalid syntax, so its place in the sequence is not the cause",
    ),
    (504, lambda: begin().say(f"{MAIL[0]} X=8BITMIME", 504).say(*MAIL).quit(), "The server announces 8BITMIME"),
    (504, lambda: begin().say("NOOP", 504).say(*MAIL).quit(), "has no parameter"),
    (550, lambda: begin().say(*MAIL).say(NOBODYS, 550).quit(), "but no RCPT gets 250"),
    (
        550,
        lambda: begin().say(*MAIL).say("RCPT TO:<no one@example.com>", 550).say(BOBS, 250).quit(),
        "but its argument is not a valid mailbox",
    ),
    (550, lambda: begin().say(*MAIL).say("RCPT TO:<x@example.net>", 550).say(BOBS, 250).quit(), "another domain"),
    (551, lambda: elsewhere("bob"), "but no server accepts the mailbox in the reply"),
    (552, lambda: messages(552, 250), "before and after"),
    (552, lambda: messages(250, 552), "before and after"),
    (553, lambda: begin().say(*MAIL).say(NOBODYS, 553).say(BOBS, 250).quit(), "but the mailbox is valid"),
    (553, lambda: begin().say(*MAIL).say("RCPT TO:<a b@x>", 553).quit(), "but no RCPT gets 250"),
    (
        554,
        lambda: begin().say(*MAIL).say(BOBS, 250).say("DATA", 554).say("DATA", 354).quit(),
        "DATA gets 554, but a recipient was accepted, or there was no RCPT",
    ),
    (554, lambda: begin().say(*MAIL).say(NOBODYS, 550).say("DATA", 554).quit(), "never gets 354"),
]


def scenario(folder: Path, code: int, build: Build | None = None) -> Scenario:
    """What was done for a code, with what belongs to it beside the dialogue."""
    one = (build or SHOWN[code])()
    server, reading = SmtpTraffic(()), Wire(now_ms=0)
    if code == 251:
        onward = SmtpWire(client=RECEIVER, server=SENDER).begin().hello().say(*MAIL)
        onward.say("RCPT TO:<alice@example.org>", 250).say("DATA", 354).data(stuffed(b"Received: x\r\n" + PLAIN)).quit()
        server = onward.traffic(folder / "server")
    if code in (250, 552):
        # In the pause behind the second message, or at any time.
        reading.now_ms = 2 * (1000 + 8 * RTT_MS) - 300
        read_by_pop3(reading, PLAIN)
    (folder / "reading").mkdir(parents=True)
    seen = connections(reading.capture(folder / "reading").at(INTERFACE))
    return Scenario(one.traffic(folder / "client"), server, tuple(seen), FACTS.get(code, {}))


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_shown_by_its_cause(tmp_path: Path, code: int) -> None:
    evidence, frames = CHECKS[code](scenario(tmp_path, code))
    assert evidence.endswith(".")
    assert frames


@pytest.mark.parametrize(("code", "build", "why"), FAILS)
def test_a_code_is_not_shown_without_its_cause(tmp_path: Path, code: int, build: Build, why: str) -> None:
    with pytest.raises(Contradiction, match=why):
        CHECKS[code](scenario(tmp_path, code, build))


@pytest.mark.parametrize(
    ("code", "facts", "why"),
    [
        (421, {"stopped_ns": START_NS + 1e12}, "Reply 421 precedes the shutdown of the server"),
        (450, {}, "s, before the end of the greylisting delay"),
        (451, {"read_only": 0.0, "read_only_later": 0.0}, "The server replies 451, but its queue was writable"),
        (451, {"read_only": 1.0, "read_only_later": 1.0}, "The queue was still not writable at the second attempt"),
        (452, {"free_octets": 1e6, "free_octets_later": 1e6}, "octets free"),
        (452, {}, "octets free"),
        (552, {"quota_octets": 1e6}, "octets do not exceed the quota of"),
        (552, {"quota_octets": 10.0}, "octets do not exceed the quota of"),
    ],
)
def test_what_was_seen_in_the_host_must_be_the_cause(
    tmp_path: Path, code: int, facts: Mapping[str, float], why: str
) -> None:
    with pytest.raises(Contradiction, match=why):
        CHECKS[code](replace(scenario(tmp_path, code), facts=facts))


def test_a_mailbox_that_nobody_emptied_is_no_cause(tmp_path: Path) -> None:
    with pytest.raises(Contradiction, match="The mailbox is not emptied"):
        CHECKS[552](replace(scenario(tmp_path, 552), reading=()))
    looked = Wire(now_ms=2 * (1000 + 8 * RTT_MS) - 300)
    Tcp(looked, 52000, 110, client_address=BOB, server_address=RECEIVER).open().server("PA", b"+OK\r\n").close()
    seen = connections(looked.capture(tmp_path).at(INTERFACE))
    with pytest.raises(Contradiction, match="The mailbox is not emptied"):
        CHECKS[552](replace(scenario(tmp_path / "looked", 552), reading=tuple(seen)))


def test_a_message_that_is_read_altered_was_not_taken(tmp_path: Path) -> None:
    altered = Wire()
    read_by_pop3(altered, PLAIN.replace(b"Subject: hello", b"Subject: other"))
    seen = connections(altered.capture(tmp_path).at(INTERFACE))
    with pytest.raises(Contradiction, match="was altered"):
        CHECKS[250](replace(scenario(tmp_path / "250", 250), reading=tuple(seen)))


def test_s6_wants_all_codes_and_says_which_lack_their_cause(tmp_path: Path) -> None:
    every = {code: scenario(tmp_path / str(code), code) for code in CODES}
    verdict = said(decide_reply_causes(every, CHECKS), "shown", "All 21 codes")
    assert all(f"{code}: " in verdict.evidence for code in CODES)
    assert len(verdict.frames) > 2 * len(CODES)
    said(
        decide_reply_causes({**every, 450: every[550], 501: every[221]}, CHECKS),
        "failed",
        "2 of 21 codes do not have the cause that they report",
        "450: ",
        "501: ",
    )
    without = {code: one for code, one in every.items() if code != 553}
    said(decide_reply_causes(without, CHECKS), "undecided", "no scenario for 553")
    said(
        decide_reply_causes(without, CHECKS, {553: "nobody was there"}),
        "failed",
        "553: The scenario was interrupted",
    )


def test_s6_is_undecided_on_a_capture_that_dropped(tmp_path: Path) -> None:
    every = {code: scenario(tmp_path / str(code), code) for code in CODES}
    dropped = replace(every[220], client=replace(every[220].client, dropped=2))
    said(decide_reply_causes({**every, 220: dropped}, CHECKS), "undecided", "dropped 2 packets")


def test_s6_wants_the_grammar_kept(tmp_path: Path) -> None:
    every = {code: scenario(tmp_path / str(code), code) for code in CODES}
    wrong = begin().reply(250)
    another(wrong)
    bad = replace(every[220], client=wrong.traffic(tmp_path / "wrong"))
    said(
        decide_reply_causes({**every, 220: bad}, CHECKS),
        "failed",
        "220: On the connection opened",
        "belongs to no command",
    )
