"""Checks of captured IMAP sessions against RFC 3501 and RFC 9051: line ends, responses, tags, UIDVALIDITY, sizes."""

from __future__ import annotations

import re

from lab7.experiments.analysis.rules.lines import LineConnection, LineStream, check_each, line_connections
from lab7.experiments.analysis.rules.rule import Checked, Rule, as_text
from lab7.experiments.harness.judge.dialogue import valid_lines
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.mail.wire.imap import IMAP_PORT, read_commands
from lab7.experiments.mail.wire.imap_grammar import (
    Command,
    ImapGrammarError,
    Response,
    Value,
    read_responses,
)

LINE_END = Rule("imap-line-end", "imap", "Every line ends in CRLF.", "RFC 3501 section 2.2")
RESPONSE = Rule(
    "imap-response",
    "imap",
    "A response is untagged data, a continuation request, or a tagged status.",
    "RFC 3501 section 2.2.2",
)
COMMAND = Rule("imap-command", "imap", "A command is a tag, a name, and its arguments.", "RFC 3501 section 2.2.1")
TAG = Rule("imap-tag", "imap", "A tagged response completes the command with its tag.", "RFC 3501 section 2.2.2")
UIDVALIDITY = Rule(
    "imap-uidvalidity",
    "imap",
    "The UIDVALIDITY of a mailbox persists from session to session as long as its UIDs do.",
    "RFC 3501 section 2.3.1.1",
)
UID_ORDER = Rule("imap-uid-order", "imap", "UIDs ascend with the message sequence numbers.", "RFC 3501 section 2.3.1.1")
SIZE = Rule("imap-size", "imap", "RFC822.SIZE is the number of octets of the message.", "RFC 3501 section 7.4.2")
RULES = (LINE_END, RESPONSE, COMMAND, TAG, UIDVALIDITY, UID_ORDER, SIZE)

STARTTLS = re.compile(rb"^[^ \r\n]+ STARTTLS\r\n", re.IGNORECASE | re.MULTILINE)
_UIDVALIDITY = re.compile(rb"\[UIDVALIDITY ([0-9]+)\]", re.IGNORECASE)


def check(captured: CaptureFile, interface: str) -> Checked:
    """Check the IMAP sessions of one interface against all IMAP rules; return line count and violations."""
    validity: dict[tuple[str, str, bytes], int] = {}
    found = line_connections(captured, interface, (IMAP_PORT,), LINE_END)
    return check_each(found, lambda one: _check(one, validity))


def _check(one: LineConnection, validity: dict[tuple[str, str, bytes], int]) -> None:
    commands, responses = _commands(one), _responses(one)
    _check_tags(one, responses, [command.tag for command in commands])
    _check_validity(one, commands, responses, validity)
    _check_messages(one, responses)


def _commands(one: LineConnection) -> list[Command]:
    """Parse a client's commands, up to the first line that is not a command."""
    stream = one.client.source.stream
    _check_line_end(one.client)
    found, error = valid_lines(read_commands(stream), ImapGrammarError)
    # After STARTTLS the client's octets are TLS records, not commands.
    if error is not None and b"\r\n" in stream.data and not _starts_tls(one) and not one.client.violations:
        one.client.note(COMMAND, 0, len(stream.data), str(error), "a1 SELECT INBOX\\r\\n")
    return found


def _responses(one: LineConnection) -> list[tuple[int, Response]]:
    """Return (stream offset, response) for each of a server's responses, up to the first malformed one."""
    stream, at = one.server.source.stream, 0
    _check_line_end(one.server)
    found: list[tuple[int, Response]] = []
    try:
        for response in read_responses(stream):
            found.append((at, response))
            at += len(response.octets)
    except ImapGrammarError as error:
        end = stream.data.find(b"\n", at) + 1
        if end and not _starts_tls(one) and not one.server.violations:
            one.server.note(RESPONSE, at, end, str(error), "* data, + text, or tag OK text")
    return found


def _starts_tls(one: LineConnection) -> bool:
    return STARTTLS.search(one.client.data) is not None


def _check_line_end(side: LineStream) -> None:
    """Record a violation for LF without CR at the end of the first line.

    Later lines may be literals, in which any octet is permitted.
    """
    end = side.data.find(b"\n")
    if end >= 0 and side.data[end - 1 : end] != b"\r":
        side.note(LINE_END, 0, end + 1, "the line ends in LF alone", as_text(side.data[: min(end, 40)]) + "\\r\\n")


def _check_tags(one: LineConnection, responses: list[tuple[int, Response]], tags: list[str]) -> None:
    for at, response in responses:
        if response.tag not in ("*", "+") and tags and response.tag not in tags:
            known = ", ".join(tags[-3:])
            found = f"the tag {response.tag} belongs to no command (the last are {known})"
            one.server.note(TAG, at, at + len(response.octets), found, "the tag of the command that is complete")
            return


def _check_validity(
    one: LineConnection,
    commands: list[Command],
    responses: list[tuple[int, Response]],
    validity: dict[tuple[str, str, bytes], int],
) -> None:
    """Record a violation if a mailbox's UIDVALIDITY changed since an earlier session of the same user."""
    completed = {response.tag: at for at, response in responses if response.tag not in ("*", "+")}
    user = next((command.argument.split(b" ")[0] for command in commands if command.verb == "LOGIN"), b"")
    begin = 0
    for command in commands:
        end = completed.get(command.tag)
        if end is None:
            continue
        if command.verb in ("SELECT", "EXAMINE"):
            key = (str(one.connection.server), as_text(user), command.argument.strip(b'"').upper())
            for at, response in responses:
                found = _UIDVALIDITY.search(response.rest) if begin <= at < end and response.tag == "*" else None
                if found is None:
                    continue
                known = validity.setdefault(key, int(found[1]))
                if known != int(found[1]):
                    what = f"UIDVALIDITY {int(found[1])} of {as_text(command.argument)}, {known} before"
                    one.server.note(UIDVALIDITY, at, at + len(response.octets), what, f"UIDVALIDITY {known}")
                    validity[key] = int(found[1])
        begin = end


def _check_messages(one: LineConnection, responses: list[tuple[int, Response]]) -> None:
    """Check that RFC822.SIZE equals the size of the content, and that UIDs ascend with the sequence numbers."""
    sizes: dict[int, tuple[int, int, int]] = {}
    uids: dict[int, int] = {}
    for at, response in responses:
        if response.name == "EXPUNGE" or (response.name == "EXISTS" and response.tag == "*"):
            sizes.clear()
            uids.clear()
        if response.name != "FETCH" or response.number is None:
            continue
        items = _items(response)
        end = at + len(response.octets)
        if isinstance(size := items.get("RFC822.SIZE"), str) and size.isdigit():
            sizes[response.number] = (int(size), at, end)
        if isinstance(uid := items.get("UID"), str) and uid.isdigit():
            uids[response.number] = int(uid)
            lower = [other for number, other in uids.items() if number < response.number]
            if lower and max(lower) >= int(uid):
                found = f"message {response.number} has the UID {uid}, one before it {max(lower)}"
                one.server.note(UID_ORDER, at, end, found, "a greater UID")
                return
        content = items.get("BODY[]", items.get("RFC822"))
        if isinstance(content, bytes) and response.number in sizes and sizes[response.number][0] != len(content):
            size_bytes, start, stop = sizes.pop(response.number)
            found = f"RFC822.SIZE {size_bytes} of message {response.number}, whose content has {len(content)} octets"
            one.server.note(SIZE, start, stop, found, f"RFC822.SIZE {len(content)}")


def _items(response: Response) -> dict[str, Value]:
    """Return the data items of a FETCH response, keyed by name; empty if the response cannot be parsed."""
    try:
        values = response.values
    except ImapGrammarError:
        return {}
    inner = values[0] if values and isinstance(values[0], list) else []
    names = [each.upper() if isinstance(each, str) else "" for each in inner[0::2]]
    return dict(zip(names, inner[1::2], strict=False))
