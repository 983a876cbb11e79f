r"""Encoder of mail header fields: folding and encoded words (RFC 5322 section 2.2.3, RFC 2047).

unstructured("Subject", "Grüße") == "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
bob = NameAddr("Bob, Example", Mailbox("bob", "example.com"))
mailbox_list("To", [bob]) == 'To: "Bob, Example" <bob@example.com>\r\n'
"""

import re
from collections.abc import Iterable
from email.header import Header

from lab7.services.mail.agent.drafts import NameAddr
from lab7.services.mail.agent.limits import LINE_OCTETS, LINE_OCTETS_WANTED

_CRLF = "\r\n"
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*\Z")
# "=?" begins an encoded word, so text that contains "=?" literally is encoded as well.
_LIKE_WORD = "=?"


def unstructured(name: str, text: str) -> str:
    """Return an unstructured header field such as Subject, encoded and folded (RFC 5322 section 2.2.1)."""
    return f"{name}: {_text(text, len(name) + 2)}{_CRLF}"


def _text(text: str, before: int) -> str:
    """Encode text as encoded words; ASCII text without "=?" is unchanged (RFC 2047 section 5 (1))."""
    plain = text.isascii() and _LIKE_WORD not in text and all(len(word) < LINE_OCTETS - before for word in text.split())
    header = Header(text, "us-ascii" if plain else "utf-8", LINE_OCTETS_WANTED, "x" * max(before - 2, 0))
    return header.encode(linesep=_CRLF)


def mailbox_list(name: str, name_addrs: Iterable[NameAddr]) -> str:
    """Return a header field with a mailbox list, such as To, encoded; lines are folded between mailboxes."""
    return _fold(name, [_name_addr(name_addr) for name_addr in name_addrs], ",")


def word_list(name: str, values: Iterable[str]) -> str:
    """Return a header field of words separated by spaces, such as References, folded between words."""
    return _fold(name, list(values), "")


def _fold(name: str, items: list[str], mark: str) -> str:
    lines = [f"{name}:"]
    for number, leaf in enumerate(items):
        whole = f" {leaf}{mark}" if number < len(items) - 1 else f" {leaf}"
        if len(lines[-1]) + len(whole) > LINE_OCTETS_WANTED and lines[-1] != f"{name}:":
            lines.append(whole)
        else:
            lines[-1] += whole
    return _CRLF.join(lines) + _CRLF


def _name_addr(name_addr: NameAddr) -> str:
    if not name_addr.name:
        return str(name_addr.mailbox)
    return f"{_phrase(name_addr.name)} <{name_addr.mailbox}>"


def _phrase(name: str) -> str:
    """Encode a display name: atoms, quoted string or encoded words (RFC 5322 section 3.2.5; RFC 2047 section 5 (3))."""
    if not name.isascii() or _LIKE_WORD in name:
        return _text(name, 0)
    if _ATOMS.match(name):
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
