"""Answers of the POP3 and IMAP assignment by tshark, by question."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.kernel.assignments import tshark

FROM_SERVER = "ip.src == 10.25.2.25"
ROW = re.compile(rb"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\) [^\r]*\r\nSubject: (\w+)\r\n")


def _stream(capture: Path, port: int, place: int) -> str:
    """Return the display filter of a session, by port and place."""
    syns = f"tcp.flags.syn == 1 && tcp.flags.ack == 0 && tcp.dstport == {port}"
    return f"tcp.stream == {tshark.fields(capture, syns, 'tcp.stream')[place][0]}"


def _imap(capture: Path, place: int) -> bytes:
    """Return what the server sends in the first (0) or last (-1) IMAP session."""
    return tshark.sent(capture, f"{_stream(capture, 143, place)} && {FROM_SERVER}")


def _rows(capture: Path, place: int) -> list[tuple[bytes, ...]]:
    """Return (UID, flags, subject) of each message."""
    return ROW.findall(_imap(capture, place))


def _first(pattern: bytes, octets: bytes) -> str:
    found = re.search(pattern, octets)
    assert found is not None
    return found[1].decode()


def _uid(capture: Path, variant: Mapping[str, Any]) -> str:
    return next(uid.decode() for uid, _, subject in _rows(capture, 0) if subject.decode() == variant["wanted"])


def _tag(capture: Path) -> str:
    rows = tshark.fields(capture, f"{_stream(capture, 143, 0)} && imap.request.command", "imap.request")
    return next(tag for tag, command, *_ in (line.split() for (line,) in rows) if command == "STORE")


def _gone(capture: Path) -> str:
    first, last = ({int(uid) for uid, _, _ in _rows(capture, place)} for place in (0, -1))
    return ", ".join(map(str, sorted(first - last)))


def _flags(capture: Path, variant: Mapping[str, Any]) -> str:
    uid = _rows(capture, 0)[variant["fetched"] - 1][0]
    flags = next(flags for row_uid, flags, _ in _rows(capture, -1) if row_uid == uid)
    return ", ".join(sorted(flags.decode().replace("\\", "").split()))


def _maildrop(capture: Path) -> str:
    (asked,) = tshark.frames(capture, 'pop.request.command == "STAT"')
    said = tshark.fields(capture, f"pop.response && frame.number > {asked}", "pop.response.description")[0][0]
    return f"{said.split()[1]} bytes"


def _length(capture: Path, stream: str) -> str:
    return f"{len(tshark.sent(capture, f'{stream} && {FROM_SERVER}'))} bytes"


MAIL_ACCESS: tshark.Expected = {
    "q1": lambda capture, _: _first(rb"UIDVALIDITY (\d+)", _imap(capture, 0)),
    "q2": _uid,
    "q3": lambda capture, _: _tag(capture),
    "q4": lambda capture, _: _first(rb"BODY\[\] \{(\d+)\}", _imap(capture, 0)) + " bytes",
    "q5": lambda capture, _: _first(rb"Message-ID: <([^>]*)>", _imap(capture, 0)),
    "q6": lambda capture, _: _length(capture, _stream(capture, 143, 0)),
    "q7": lambda capture, _: _length(capture, _stream(capture, 110, 0)),
    "q8": lambda capture, _: _maildrop(capture),
    "q9": lambda capture, _: str(tshark.frames(capture, 'pop.request.command == "QUIT"')[0]),
    "q10": lambda capture, _: _gone(capture),
    "q11": lambda capture, _: _first(rb"\* (\d+) EXISTS", _imap(capture, -1)),
    "q12": _flags,
}
