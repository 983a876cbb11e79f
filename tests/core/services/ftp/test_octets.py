"""Parsing of the control connection: octets split anywhere, and arbitrary octets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.ftp import limits
from lab7.services.ftp.server_pi.commands import VERBS
from lab7.services.ftp.telnet import Answer, Interrupt, Line, LongLine, TelnetLines
from tests.core.services.ftp.fake_connection import FakeConnection

SESSION = (
    b"FEAT\r\nUSER ann\r\nPASS secret\r\nPWD\r\nMKD n\xff\xffn\r\nTYPE I\r\nREST 2\r\nPASV\r\n"
    b"RETR a.txt\r\nSTAT sub\r\n\xff\xf4\xff\xf2ABOR\r\nRNFR a.txt\r\nRNTO b.txt\r\nNOPE\r\nQUIT\r\n"
)


def fed(root: Path, pieces: list[bytes]) -> tuple[list[str], list[bytes]]:
    desk = FakeConnection(root)
    lines = desk.greet()
    for piece in pieces:
        lines += desk.feed(piece)
    return lines, desk.sent


def tree(parent: Path) -> Path:
    root = parent / "home"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"one\ntwo\n")
    return root


def test_octet_by_octet_is_as_whole(tmp_path: Path) -> None:
    whole = fed(tree(tmp_path / "1"), [SESSION])
    single = fed(tree(tmp_path / "2"), [SESSION[i : i + 1] for i in range(len(SESSION))])
    assert [line for line in whole[0] if " /" not in line] == [line for line in single[0] if " /" not in line]
    assert whole[1] == single[1] == [b"e\ntwo\n"]
    assert whole[0][-1].startswith("221")


def test_octets_after_quit_are_dropped(tmp_path: Path) -> None:
    assert fed(tree(tmp_path / "1"), [SESSION + b"NOOP\r\n"])[0][-1].startswith("221")


@pytest.mark.parametrize(
    ("octets", "events"),
    [
        (b"NOOP\r\n", [Line(b"NOOP")]),
        (b"NOOP\n", [Line(b"NOOP")]),
        (b"a\r\0b\r\n", [Line(b"a\rb")]),
        (b"a\xff\xffb\r\n", [Line(b"a\xffb")]),
        (b"\xff\xf4\xff\xf2ABOR\r\n", [Interrupt(), Line(b"ABOR")]),
        (b"\xf2ABOR\r\n", [Line(b"\xf2ABOR")]),
        (b"\xff\xfd\x01x\r\n", [Answer(b"\xff\xfc\x01"), Line(b"x")]),
        (b"\xff\xfb\x01x\r\n", [Answer(b"\xff\xfe\x01"), Line(b"x")]),
        (b"\xff\xfc\x01\xff\xfe\x01x\r\n", [Line(b"x")]),
        (b"\xff\xfa\x18abc\r\n\xff\xff\xff\xf0x\r\n", [Line(b"x")]),
        (b"a" * limits.LINE_OCTETS + b"\n", [Line(b"a" * limits.LINE_OCTETS)]),
        (b"a" * (limits.LINE_OCTETS + 1) + b"\r\nx\r\n", [LongLine(), Line(b"x")]),
    ],
)
def test_telnet_lines(octets: bytes, events: list[object]) -> None:
    assert TelnetLines().feed(octets) == events
    lines = TelnetLines()
    assert [event for i in range(len(octets)) for event in lines.feed(octets[i : i + 1])] == events
    assert TelnetLines().feed(octets + b"rest") == events


def test_an_endless_line_is_refused_and_not_held(tmp_path: Path) -> None:
    desk = FakeConnection(tree(tmp_path))
    desk.log_in()
    for _ in range(100):
        assert desk.feed(b"x" * 10_000) == []
        assert desk.session._telnet.waiting_octets <= limits.LINE_OCTETS
    assert [line[:3] for line in desk.feed(b"\r\nNOOP\r\n")] == ["500", "200"]
    assert desk.log_events[-1].event == "line_too_long"


def test_refusals_in_a_row_end_the_session(tmp_path: Path) -> None:
    desk = FakeConnection(tree(tmp_path))
    desk.greet()
    codes = desk.codes(*["X"] * 200)
    assert codes == [500] * limits.REFUSALS_IN_A_ROW + [421]
    assert desk.closed


def test_reading_stops_when_too_many_commands_wait(tmp_path: Path) -> None:
    desk = FakeConnection(tree(tmp_path))
    desk.log_in()
    desk.holds_transfers = True
    desk.say("PASV", "RETR a.txt", *["PWD"] * limits.WAITING_COMMANDS)
    assert desk.session.is_full


words = st.sampled_from([*VERBS, b"PASV\r\nRETR", b"a.txt", b"..", b"/", b"*", b" ", b"\r\n", b"\xff", b"\xf4", b"\0"])


@given(st.lists(st.one_of(words, st.binary(max_size=20)), max_size=60), st.booleans())
def test_no_octets_break_a_session(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], whole: bool) -> None:
    desk = FakeConnection(tree(tmp_path_factory.mktemp("any")))
    desk.log_in()
    for piece in [b" ".join(pieces)] if whole else pieces:
        if desk.closed:
            break
        for line in desk.feed(piece):
            assert line[:1] in "12345 \xff" or not line.isascii()


commands = st.builds(
    lambda verb, rest: verb + b" " + rest + b"\r\n", st.sampled_from(list(VERBS)), st.binary(max_size=30)
)


@given(st.lists(commands, max_size=30))
def test_each_command_gets_a_reply(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    desk = FakeConnection(tree(tmp_path_factory.mktemp("any")))
    desk.log_in()
    for line in lines:
        replies = desk.feed(line.replace(b"\n", b"").replace(b"\xff", b"") + b"\n")
        assert replies
        assert replies[-1][:3].isdigit()
        if desk.closed:
            break
