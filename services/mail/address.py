"""Parser of mailboxes and paths in the SMTP envelope (RFC 5321 sections 4.1.2, 4.1.3 and 4.5.3.1).

    >>> parse_path(b"<@relay.example:bob@example.com> SIZE=100")      # (mailbox, octets after the path)
    (Mailbox(local_part='bob', domain='example.com'), b' SIZE=100')

A source route such as `@relay.example:` is parsed and ignored (appendix C); quoted local parts are stored unquoted.
parse_loose_path() also accepts the malformed paths that Postfix accepts. With SMTPUTF8 (RFC 6531), a path may be UTF-8:
the local part is kept, the domain becomes A-labels, its equivalent in ASCII (RFC 5890 section 2.3.2.1).
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

# RFC 5321 sections 4.5.3.1.1 to 4.5.3.1.3: maximum lengths of a local part, a domain and a path.
LOCAL_PART_OCTETS_MAX = 64
DOMAIN_OCTETS_MAX = 255
PATH_OCTETS_MAX = 256
# RFC 1035 section 2.3.4: maximum length of one label of a domain name.
LABEL_OCTETS_MAX = 63

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_STRING = re.compile(rf"{_ATOM}(?:\.{_ATOM})*\Z")
_QUOTED_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\[ -~])*)"\Z')
# RFC 6531 section 3.3 adds UTF8-non-ascii to atoms and quoted strings; control characters are left out.
_UTF8 = r"\u00a0-\U0010ffff"
_UTF8_ATOM = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~{_UTF8}-]+"
_UTF8_DOT_STRING = re.compile(rf"{_UTF8_ATOM}(?:\.{_UTF8_ATOM})*\Z")
_UTF8_QUOTED_STRING = re.compile(rf'"((?:[ !#-\[\]-~{_UTF8}]|\\[ -~])*)"\Z')
_SUB_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_SUB_DOMAIN}(?:\.{_SUB_DOMAIN})*\Z")
_SOURCE_ROUTE = re.compile(rf"@{_SUB_DOMAIN}(?:\.{_SUB_DOMAIN})*(?:,@{_SUB_DOMAIN}(?:\.{_SUB_DOMAIN})*)*:")
# Pattern of a path, from "<" to its ">"; inside a quoted local part, ">" is an ordinary character.
_PATH = re.compile(rb'<((?:[^<>"\\]|"(?:[^"\\]|\\.)*")*)>')
_QUOTED_PAIR = re.compile(r"\\(.)")
# Pattern of an argument up to its first space outside quotes, angle brackets and comments.
_LOOSE_PATH = re.compile(rb"""(?:[^\s"<(]|"(?:[^"\\]|\\.)*"|<(?:[^<>"\\]|"(?:[^"\\]|\\.)*")*>|<|\([^()]*\))+""")
_COMMENT = re.compile(r"""("(?:[^"\\]|\\.)*")|\([^()]*\)""")
_IN_ANGLES = re.compile(r"""(?:[^<>"]|"(?:[^"\\]|\\.)*")*<((?:[^<>"]|"(?:[^"\\]|\\.)*")*)>?\Z""")
_LOOSE_LOCAL_PART = re.compile(r"""(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]|"(?:[ !#-\[\]-~]|\\[ -~])*")+\Z""")
_WORD = re.compile(r""""((?:[^"\\]|\\.)*)"|[^"]+""")
# Host names with underscores are in use, although RFC 5321 section 4.1.2 permits none in a domain.
_LOOSE_DOMAIN = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\Z")

POSTMASTER = "postmaster"


class PathError(ValueError):
    """Error for an SMTP path, such as `<user@domain>`, with invalid syntax (reply 501)."""


class PathTooLongError(PathError):
    """Error for an SMTP path, local part or domain longer than RFC 5321 section 4.5.3.1 permits (reply 501)."""


class MailboxError(ValueError):
    """Error for a path in angle brackets without a valid mailbox inside (reply 553)."""


class NotASCIIError(MailboxError):
    """Error for a mailbox beyond ASCII without SMTPUTF8 (RFC 6531 section 3.5: enhanced code 5.6.7)."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox: the local part without quoting, and a domain or an address literal such as [192.0.2.1]."""

    local_part: str
    domain: str

    def __str__(self) -> str:
        return f"{quoted(self.local_part)}@{self.domain}" if self.domain else quoted(self.local_part)

    @property
    def key(self) -> tuple[str, str]:
        """The pair (local part, domain) in lower case, for comparison and lookup."""
        return self.local_part.lower(), self.domain.lower()


def quoted(local_part: str) -> str:
    """Return a local part as written in an SMTP path: a dot-string or quoted string (RFC 5321 section 4.1.2)."""
    if _UTF8_DOT_STRING.match(local_part):
        return local_part
    return '"' + re.sub(r'(["\\])', r"\\\1", local_part) + '"'


def parse_mailbox(text: str, utf8: bool = False) -> Mailbox:
    """Parse `local-part@domain`, with `utf8` also beyond ASCII; raises MailboxError or PathTooLongError."""
    local_part, at, domain = text.rpartition("@")
    if not at:
        raise MailboxError("the mailbox has no domain")
    if utf8 and not domain.isascii():
        domain = _a_labels(domain)
    if len(local_part.encode("utf-8", "replace")) > LOCAL_PART_OCTETS_MAX or len(domain) > DOMAIN_OCTETS_MAX:
        raise PathTooLongError("local part or domain too long")
    if not is_domain(domain) and not is_address_literal(domain):
        raise MailboxError("the domain is neither a domain name nor an address literal")
    return Mailbox(_local_part(local_part, utf8), domain)


def _a_labels(domain: str) -> str:
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise MailboxError("the domain is not an internationalized domain name") from None


def _local_part(text: str, utf8: bool) -> str:
    if (_UTF8_DOT_STRING if utf8 else _DOT_STRING).match(text):
        return text
    quoted_string = (_UTF8_QUOTED_STRING if utf8 else _QUOTED_STRING).match(text)
    if quoted_string is None:
        raise MailboxError("the local part is neither a dot-string nor a quoted string")
    return _QUOTED_PAIR.sub(r"\1", quoted_string[1])


def is_domain(text: str) -> bool:
    """Return True if a text is a Domain of RFC 5321 section 4.1.2: labels of letters, digits and hyphens."""
    return (
        len(text) <= DOMAIN_OCTETS_MAX
        and _DOMAIN.match(text) is not None
        and all(len(label) <= LABEL_OCTETS_MAX for label in text.split("."))
    )


def is_address_literal(text: str) -> bool:
    """Return True if a text is `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 section 4.1.3)."""
    return literal_address(text) is not None


def literal_address(text: str) -> str | None:
    """Return the IP address in an address literal, or None if the text is not an address literal."""
    if not (text.startswith("[") and text.endswith("]")):
        return None
    inner = text[1:-1]
    try:
        if inner[:5].lower() == "ipv6:":
            return str(IPv6Address(inner[5:])) if "%" not in inner else None
        return str(IPv4Address(inner))
    except ValueError:
        return None


def parse_path(octets: bytes, utf8: bool = False) -> tuple[Mailbox | None, bytes]:
    """Parse the path at the start of a command's parameter; return (mailbox or None for `<>`, octets after the path).

    Only `<postmaster>` may lack a domain (section 4.1.1.3); the domain is then empty. With `utf8`, the path may have
    characters beyond ASCII. Raises PathError, PathTooLongError and MailboxError.
    """
    match = _PATH.match(octets)
    if match is None:
        raise PathError("the path is not enclosed in angle brackets")
    if match.end() > PATH_OCTETS_MAX:
        raise PathTooLongError("path too long")
    rest = octets[match.end() :]
    if rest and not rest.startswith(b" "):
        raise PathError("the path is followed by other characters than a space")
    try:
        inner = match[1].decode("utf-8" if utf8 else "ascii")
    except UnicodeDecodeError:
        if utf8:
            raise MailboxError("the mailbox is not UTF-8") from None
        raise NotASCIIError("the mailbox is not ASCII, and MAIL has no parameter SMTPUTF8") from None
    if not inner:
        return None, rest
    route = _SOURCE_ROUTE.match(inner)
    inner = inner[route.end() :] if route is not None else inner
    if inner.lower() == POSTMASTER:
        return Mailbox(inner, ""), rest
    return parse_mailbox(inner, utf8), rest


def parse_loose_path(octets: bytes, utf8: bool = False) -> tuple[Mailbox | None, bytes]:
    """Parse a path as parse_path() does, but accept in addition the malformed paths that Postfix accepts by default.

    These are the paths that Postfix accepts with strict_rfc821_envelopes=no: without angle brackets, with only one
    bracket, or with blanks inside; with a display name or comment, if no blank precedes the next word; with dots
    anywhere in the local part; with underscores or a final dot in the domain; and without a domain (the domain is then
    empty). Raises the errors of parse_path().
    """
    try:
        return parse_path(octets, utf8)
    except PathTooLongError:
        raise
    except (PathError, MailboxError) as error:
        failure = error
    match = _LOOSE_PATH.match(octets)
    if match is None or not match[0].isascii():
        raise failure
    if match.end() > PATH_OCTETS_MAX:
        raise PathTooLongError("path too long")
    text = _COMMENT.sub(lambda found: found[1] or "", match[0].decode("ascii")).strip()
    in_angles = _IN_ANGLES.match(text)
    inner = (in_angles[1] if in_angles is not None else text.removesuffix(">")).strip()
    route = _SOURCE_ROUTE.match(inner)
    local_part, at, domain = (inner[route.end() :] if route is not None else inner).rpartition("@")
    if not at:
        local_part, domain = domain, ""
    mailbox = _loose_mailbox(local_part.strip(), domain.strip().removesuffix("."))
    if mailbox is None or (at and not mailbox.domain):
        raise failure
    return mailbox, octets[match.end() :]


def _loose_mailbox(local_part: str, domain: str) -> Mailbox | None:
    if _LOOSE_LOCAL_PART.match(local_part) is None:
        return None
    if domain and not _LOOSE_DOMAIN.match(domain) and not is_address_literal(domain):
        return None
    words = _WORD.finditer(local_part)
    plain = "".join(word[0] if word[1] is None else _QUOTED_PAIR.sub(r"\1", word[1]) for word in words)
    if len(plain) > LOCAL_PART_OCTETS_MAX or len(domain) > DOMAIN_OCTETS_MAX:
        raise PathTooLongError("local part or domain too long")
    return Mailbox(plain, domain)
