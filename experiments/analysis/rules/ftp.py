"""Checks of captured FTP sessions against the RFCs: commands, replies, data connection addresses, representation type.

The requirements are from RFC 959 sections 3.1.1, 4.1.2, 4.2, 5.3 and 5.4; RFC 1123 section 4.1.2; RFC 2428; RFC 2577
section 3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lab7.experiments.analysis.rules.lines import Line, LineConnection, check_each, line_connections
from lab7.experiments.analysis.rules.rule import Checked, Rule, Source, as_text
from lab7.experiments.ftp.wire.grammar import TELNET
from lab7.experiments.ftp.wire.sessions import CONTROL_PORT, HOST_PORT, Transfer, ftp_traffic
from lab7.experiments.harness.judge.frames import CaptureFile, Endpoint, connections

LINE_END = Rule("ftp-line-end", "ftp", "Every line of the control connection ends in CRLF.", "RFC 959 section 5.3.1")
COMMAND = Rule(
    "ftp-command",
    "ftp",
    "A command is a verb of three or four letters, and an argument behind a space.",
    "RFC 959 section 5.3",
)
REPLY = Rule("ftp-reply", "ftp", "A reply is a code of three digits, a space, and text.", "RFC 959 section 4.2")
REPLY_LINES = Rule(
    "ftp-reply-lines",
    "ftp",
    "A reply of several lines begins with the code and a hyphen, and ends with the code and a space.",
    "RFC 959 section 4.2",
)
UNREQUESTED = Rule("ftp-unrequested", "ftp", "Each final reply but 421 belongs to one command.", "RFC 959 section 5.4")
PRELIMINARY = Rule(
    "ftp-preliminary",
    "ftp",
    "A transfer is announced by a reply 125 or 150 before its final reply.",
    "RFC 959 section 5.4",
)
PASSIVE = Rule(
    "ftp-passive-address",
    "ftp",
    "The reply to PASV names an address at which the server accepts the data connection.",
    "RFC 959 section 4.1.2",
)
PORT = Rule("ftp-port-address", "ftp", "PORT names an address of the client.", "RFC 2577 section 3", "should")
TYPE = Rule(
    "ftp-type", "ftp", "A file that is not text is transferred with TYPE I.", "RFC 959 section 3.1.1.3", "should"
)
IMAGE = Rule(
    "ftp-image",
    "ftp",
    "With TYPE I the octets of a file are sent unchanged.",
    "RFC 959 section 3.1.1.3",
)
RULES = (LINE_END, COMMAND, REPLY, REPLY_LINES, UNREQUESTED, PRELIMINARY, PASSIVE, PORT, TYPE, IMAGE)

_COMMAND = re.compile(TELNET + rb"([A-Za-z]{3,4})(?: (.*))?\Z", re.DOTALL)
_REPLY = re.compile(rb"([1-5][0-9]{2})([ -])")
TRANSFERS = frozenset({b"RETR", b"STOR", b"STOU", b"APPE", b"LIST", b"NLST", b"MLSD"})
# Magic numbers of binary file formats: PNG, JPEG, GIF, ZIP, PDF, gzip, ELF.
# PNG's magic number is listed without its CR LF, since a transfer in TYPE A may convert the line end.
PNG, PNG_CONVERTED = b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\r\n\x1a\r\n"
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"PK\x03\x04", b"%PDF-", b"\x1f\x8b", b"\x7fELF")


@dataclass
class Reply:
    """Reply of an FTP server: three-digit code, and the captured lines of the reply."""

    code: int
    lines: list[Line] = field(default_factory=list)


def check(captured: CaptureFile, interface: str) -> Checked:
    """Check the FTP control connections of one interface against all FTP rules; return line count and violations."""
    established = {one.server for one in connections(captured.at(interface)) if one.established}
    found = list(line_connections(captured, interface, (CONTROL_PORT,), LINE_END))
    binary = _transfers_as_text(captured, interface)

    def check_session(one: LineConnection) -> None:
        _check(one, established, binary.get(one.connection.syn.frame, []))

    return check_each(found, check_session)


def _transfers_as_text(captured: CaptureFile, interface: str) -> dict[int, list[Transfer]]:
    """Return session -> transfers of binary files, which a transfer as text would damage.

    A session's key is the frame number of its control connection's SYN. Files are recognised by their magic numbers.
    """
    return {
        session.frame: [one for one in session.transfers if one.stream.data.startswith(MAGIC)]
        for session in ftp_traffic(captured, interface).sessions
    }


def _check(one: LineConnection, established: set[Endpoint], binary: list[Transfer]) -> None:
    replies = _replies(one)
    final = [reply for reply in replies if reply.code >= 200]
    if final:
        final.pop(0)  # the greeting
    as_text_type = True
    while (line := one.client.next()) is not None:
        parts = _COMMAND.match(line.text)
        if parts is None:
            one.client.note(
                COMMAND, line.start, line.after, f"{as_text(line.text)} is not a command", "RETR notes.txt\\r\\n"
            )
        verb, argument = (parts[1].upper(), parts[2] or b"") if parts is not None else (b"", b"")
        reply = final.pop(0) if final else None
        if verb == b"TYPE" and reply is not None and reply.code < 300:
            as_text_type = not argument.upper().startswith((b"I", b"L"))
        if verb == b"PORT":
            _check_port(one, line, argument)
        if reply is None:
            continue
        if verb == b"PASV" and reply.code == 227:
            _check_passive(one, reply, established)
        if verb == b"AUTH" and reply.code == 234:
            return
        if verb in TRANSFERS:
            _check_preliminary(one, reply, replies)
            _check_type(one, line, binary, as_text_type)
    for left in final:
        if left.code != 421:
            first = left.lines[0]
            one.server.note(
                UNREQUESTED, first.start, first.after, f"a reply {left.code} without a command", "no octets"
            )
            return


def _replies(one: LineConnection) -> list[Reply]:
    """Parse a server's lines into replies, up to the first line that is not part of a reply (such as a TLS record)."""
    replies: list[Reply] = []
    stream = one.server
    while (line := stream.next()) is not None:
        found = _REPLY.match(line.text)
        if found is None:
            if not any(reply.code == 234 for reply in replies):
                stream.note(
                    REPLY, line.start, line.after, f"{as_text(line.text)} is not a reply", "226 Transfer complete\\r\\n"
                )
            break
        reply = Reply(int(found[1]), [line])
        replies.append(reply)
        while found[2] == b"-" and not reply.lines[-1].text.startswith(found[1] + b" "):
            following = stream.next()
            if following is None:
                stream.note(
                    REPLY_LINES,
                    line.start,
                    line.after,
                    "a reply of several lines without an end",
                    as_text(found[1]) + " End\\r\\n",
                )
                break
            reply.lines.append(following)
    return replies


def _check_port(one: LineConnection, line: Line, argument: bytes) -> None:
    found = HOST_PORT.fullmatch(argument)
    if found is None:
        one.client.note(
            COMMAND,
            line.start,
            line.after,
            f"{as_text(line.text)} is not the syntax of PORT",
            "PORT h1,h2,h3,h4,p1,p2\\r\\n",
        )
        return
    address = ".".join(number.decode() for number in found.groups()[:4])
    here = one.connection.client.address
    if address != here and ":" not in here:
        comma = here.replace(".", ",")
        one.client.note(
            PORT,
            line.start,
            line.after,
            f"PORT has the address {address}, but the client is {here}",
            f"PORT {comma},p1,p2\\r\\n",
        )


def _check_passive(one: LineConnection, reply: Reply, established: set[Endpoint]) -> None:
    line = reply.lines[-1]
    found = HOST_PORT.search(line.text, 4)
    if found is None:
        one.server.note(
            PASSIVE,
            line.start,
            line.after,
            "227 without h1,h2,h3,h4,p1,p2",
            "227 Entering Passive Mode (h1,h2,h3,h4,p1,p2)\\r\\n",
        )
        return
    numbers = [int(group) for group in found.groups()]
    endpoint = Endpoint(".".join(map(str, numbers[:4])), numbers[4] * 256 + numbers[5])
    server = one.connection.server.address
    if endpoint.address != server and endpoint not in established and ":" not in server:
        expected = f"{server.replace('.', ',')},{numbers[4]},{numbers[5]}"
        start = line.start + found.start()
        one.server.note(
            PASSIVE,
            start,
            line.start + found.end(),
            f"227 has {endpoint}, where the server accepts no connection",
            expected,
        )


def _check_preliminary(one: LineConnection, reply: Reply, replies: list[Reply]) -> None:
    before = replies[replies.index(reply) - 1] if replies.index(reply) else None
    if 200 <= reply.code < 300 and (before is None or before.code >= 200):
        first = reply.lines[0]
        one.server.note(
            PRELIMINARY,
            first.start,
            first.after,
            f"{reply.code} without 125 or 150 before it",
            "150 Opening data connection\\r\\n",
        )


def _check_type(one: LineConnection, line: Line, binary: list[Transfer], as_text_type: bool) -> None:
    """Record a violation for each binary file that a command transferred as text.

    `line` is the command. A file is transferred as text by TYPE A, or if its line ends were converted after TYPE I.
    """
    for transfer in binary:
        if transfer.exchange.command.octets.rstrip() != line.text:
            continue
        what = as_text(transfer.stream.data[:4])
        if as_text_type:
            one.client.note(
                TYPE,
                line.start,
                line.after,
                f"a file that begins with {what} is transferred as text",
                "TYPE I\\r\\n before this command",
            )
        elif transfer.stream.data.startswith(PNG_CONVERTED) and (data := transfer.connection) is not None:
            sender = data.server if transfer.direction is data.from_server else data.client
            source = Source(one.server.source.interface, str(sender), transfer.stream)
            found = "the signature of PNG with converted line ends, after TYPE I"
            one.server.violations.append(source.violation(IMAGE, 0, len(PNG_CONVERTED), found, as_text(PNG)))
