"""Requests for delivery status notifications in the SMTP envelope: RET, ENVID, NOTIFY, ORCPT (RFC 3461 section 4).

MAIL FROM:<ann@example.net> RET=HDRS ENVID=QQ314159
RCPT TO:<bob@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@example.com

Values are kept as they were sent, so that they can be relayed unchanged (section 5.2); decode_xtext() decodes them for
a notification.
"""

import re
from dataclasses import dataclass

# RFC 3461 sections 4.2 and 4.4: maximum lengths of the values of ORCPT and ENVID.
ORCPT_OCTETS_MAX = 500
ENVID_OCTETS_MAX = 100

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+\Z")
_ENCODED = re.compile(r"\+([0-9A-F]{2})")
_ORIGINAL = re.compile(r"([A-Za-z0-9-]+);(.+)\Z", re.DOTALL)
_CONDITIONS = frozenset(("SUCCESS", "FAILURE", "DELAY"))
_NEVER = "NEVER"


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """Parameters of MAIL: `returned` is FULL or HDRS, `envelope_id` the xtext of ENVID; both are empty if not given."""

    returned: str = ""
    envelope_id: str = ""

    def parameters(self) -> list[str]:
        """Return the parameters of MAIL that repeat the request to another server."""
        values = (("RET", self.returned), ("ENVID", self.envelope_id))
        return [f"{name}={value}" for name, value in values if value]


@dataclass(frozen=True, slots=True)
class RecipientRequest:
    """Parameters of RCPT: `notify` is NEVER or a list of conditions, `original` is that of ORCPT; empty: not given."""

    notify: str = ""
    original: str = ""

    def wants(self, condition: str) -> bool:
        """Return True if a notification is requested for SUCCESS, FAILURE or DELAY; FAILURE is the default."""
        return condition in (self.notify or "FAILURE").split(",")

    def parameters(self) -> list[str]:
        """Return the parameters of RCPT that repeat the request to another server."""
        return [f"{name}={value}" for name, value in (("NOTIFY", self.notify), ("ORCPT", self.original)) if value]


NO_MESSAGE_REQUEST = MessageRequest()
NO_RECIPIENT_REQUEST = RecipientRequest()


def parse_returned(value: str) -> str:
    """Parse the value of RET; raises ValueError."""
    if value.upper() not in ("FULL", "HDRS"):
        raise ValueError("RET takes FULL or HDRS")
    return value.upper()


def parse_envelope_id(value: str) -> str:
    """Parse the value of ENVID; raises ValueError."""
    if len(value) > ENVID_OCTETS_MAX or not _is_xtext(value):
        raise ValueError("ENVID takes xtext of at most 100 characters")
    return value


def parse_notify(value: str) -> str:
    """Parse the value of NOTIFY: NEVER alone, or SUCCESS, FAILURE and DELAY separated by commas; raises ValueError."""
    words = value.upper().split(",")
    if words != [_NEVER] and not (_CONDITIONS.issuperset(words) and len(set(words)) == len(words)):
        raise ValueError("NOTIFY takes NEVER, or a list of SUCCESS, FAILURE and DELAY")
    return value.upper()


def parse_original(value: str) -> str:
    """Parse the value of ORCPT, `type;xtext`; raises ValueError."""
    match = _ORIGINAL.match(value)
    if match is None or len(value) > ORCPT_OCTETS_MAX or not _is_xtext(match[2]):
        raise ValueError("ORCPT takes an address type, a semicolon and xtext")
    return value


def decode_xtext(value: str) -> str:
    """Decode xtext (RFC 3461 section 4), such as the value of ENVID, or of ORCPT with its address type."""
    return _ENCODED.sub(lambda match: chr(int(match[1], 16)), value)


def _is_xtext(value: str) -> bool:
    # The decoded text goes into a header field of the notification, so it is printable ASCII (RFC 3461 section 4.4).
    return _XTEXT.match(value) is not None and all(" " <= one <= "~" for one in decode_xtext(value))
