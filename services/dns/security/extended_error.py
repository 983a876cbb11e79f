"""Extended DNS errors (EDE): the reason for a failure, in an EDNS option of the response (RFC 8914).

    EDE: 7 (Signature Expired): (the signature of www.example.com. A expired on 20260101000000)

RFC 8914 sections 2 (format), 3 (an extended error from an upstream server is passed on to the client, with the name of
that server) and 4 (codes), and the codes 25 to 27 that IANA has registered since.
"""

from dataclasses import dataclass
from enum import IntEnum

from lab7.services.dns.codec.message import Message, Option

OPTION_EXTENDED_ERROR = 15
# Maximum octets of EXTRA-TEXT, which is for human readers and must not make responses long.
TEXT_OCTETS_MAX = 200
_ACRONYMS = frozenset({"DNSSEC", "DNSKEY", "DS", "NSEC", "NSEC3", "NXDOMAIN"})


class ErrorCode(IntEnum):
    """INFO-CODEs: registered reasons of extended errors (RFC 8914 section 4)."""

    OTHER = 0
    UNSUPPORTED_DNSKEY_ALGORITHM = 1
    UNSUPPORTED_DS_DIGEST = 2
    STALE_ANSWER = 3
    FORGED_ANSWER = 4
    DNSSEC_INDETERMINATE = 5
    DNSSEC_BOGUS = 6
    SIGNATURE_EXPIRED = 7
    SIGNATURE_NOT_YET_VALID = 8
    DNSKEY_MISSING = 9
    RRSIGS_MISSING = 10
    NO_ZONE_KEY_BIT_SET = 11
    NSEC_MISSING = 12
    CACHED_ERROR = 13
    NOT_READY = 14
    BLOCKED = 15
    CENSORED = 16
    FILTERED = 17
    PROHIBITED = 18
    STALE_NXDOMAIN_ANSWER = 19
    NOT_AUTHORITATIVE = 20
    NOT_SUPPORTED = 21
    NO_REACHABLE_AUTHORITY = 22
    NETWORK_ERROR = 23
    INVALID_DATA = 24
    SIGNATURE_EXPIRED_BEFORE_VALID = 25
    TOO_EARLY = 26
    UNSUPPORTED_NSEC3_ITERATIONS = 27
    INVALID_QUERY_TYPE = 30


@dataclass(frozen=True, slots=True)
class ExtendedError:
    """Extended error of a response: INFO-CODE, and a sentence for human readers."""

    code: int
    text: str = ""

    @property
    def title(self) -> str:
        """The INFO-CODE's name in the IANA registry; "Unknown" for an unregistered code."""
        try:
            return _title(ErrorCode(self.code).name)
        except ValueError:
            return "Unknown"

    def to_option(self) -> Option:
        """Encode the extended error as an EDNS option (RFC 8914 section 2)."""
        return Option(OPTION_EXTENDED_ERROR, self.code.to_bytes(2, "big") + self.text.encode()[:TEXT_OCTETS_MAX])


def _title(name: str) -> str:
    words = [word if word in _ACRONYMS else word.capitalize() for word in name.split("_")]
    return " ".join(words).replace("Rrsigs", "RRSIGs")


def extended_errors(message: Message) -> list[ExtendedError]:
    """Return the extended errors of a response; options that are too short are left out."""
    return [
        ExtendedError(int.from_bytes(option.data[:2], "big"), option.data[2:].decode("utf-8", "replace"))
        for option in message.options(OPTION_EXTENDED_ERROR)
        if len(option.data) >= 2
    ]


def error_from(address: str, message: Message) -> ExtendedError | None:
    """Return the first extended error in an upstream server's response, with the server's address added to its text.

    Returns None if the response has no extended error. RFC 8914 section 3: the text names the server that reported the
    error, since the client receives it from this resolver.
    """
    found = next(iter(extended_errors(message)), None)
    return None if found is None else ExtendedError(found.code, f"{address}: {found.text or found.title}")
