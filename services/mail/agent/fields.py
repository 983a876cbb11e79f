"""Fields of a header as they go on the wire: folded, and in ASCII (RFC 5322 section 2.2.3, RFC 2047).

unstructured("Subject", "Grüße") == "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
people("To", [Person("Bob, Example", mailbox)]) == 'To: "Bob, Example" <bob@example.com>\r\n'
"""

import re
from collections.abc import Iterable
from email.header import Header

from services.mail.agent.drafts import Person
from services.mail.agent.limits import LINE_OCTETS, LINE_OCTETS_WANTED

_CRLF = "\r\n"
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*\Z")
# What readers would take for an encoded word.
_LIKE_WORD = "=?"


def unstructured(name: str, text: str) -> str:
    """Return a field of free text, as Subject."""
    return f"{name}: {_text(text, len(name) + 2)}{_CRLF}"


def _text(text: str, before: int) -> str:
    """RFC 2047 section 5 (1) where ASCII does not do, or would be misread."""
    plain = text.isascii() and _LIKE_WORD not in text and all(len(word) < LINE_OCTETS - before for word in text.split())
    header = Header(text, "us-ascii" if plain else "utf-8", LINE_OCTETS_WANTED, "x" * max(before - 2, 0))
    return header.encode(linesep=_CRLF)


def people(name: str, persons: Iterable[Person]) -> str:
    """Return a field of mailboxes, as To, one or more on a line."""
    return _joined(name, [_person(person) for person in persons], ",")


def words(name: str, values: Iterable[str]) -> str:
    """Return a field of words with blanks between them, as References."""
    return _joined(name, list(values), "")


def _joined(name: str, pieces: list[str], mark: str) -> str:
    lines = [f"{name}:"]
    for number, piece in enumerate(pieces):
        whole = f" {piece}{mark}" if number < len(pieces) - 1 else f" {piece}"
        if len(lines[-1]) + len(whole) > LINE_OCTETS_WANTED and lines[-1] != f"{name}:":
            lines.append(whole)
        else:
            lines[-1] += whole
    return _CRLF.join(lines) + _CRLF


def _person(person: Person) -> str:
    if not person.name:
        return str(person.mailbox)
    return f"{_phrase(person.name)} <{person.mailbox}>"


def _phrase(name: str) -> str:
    """RFC 5322 section 3.2.5; RFC 2047 section 5 (3)."""
    if not name.isascii() or _LIKE_WORD in name:
        return _text(name, 0)
    if _ATOMS.match(name):
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
