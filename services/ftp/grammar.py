"""Parsers of FTP command arguments: host and port, offset, date, TYPE etc. (RFC 959 section 5.3.2, RFC 2428, RFC 3659).

An argument with a syntax error raises ArgumentError, for which the server replies 501.
"""

from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address

from lab7.services.ftp.limits import OFFSET_DIGITS


class ArgumentError(ValueError):
    """Syntax error in the argument of an FTP command; the message is the text of reply 501."""


class DataType(Enum):
    """Representation types (RFC 959 section 3.1.1): ASCII and image."""

    ASCII = "A"
    IMAGE = "I"


@dataclass(frozen=True, slots=True)
class DataAddress:
    """Address and port of the client for a data connection in active mode."""

    host: str
    port: int


def parse_host_port(text: str) -> DataAddress:
    """Parse the argument of PORT, `h1,h2,h3,h4,p1,p2`, into address and port."""
    numbers = [_octet(part) for part in text.split(",")]
    if len(numbers) != 6:
        raise ArgumentError("expected six numbers from 0 to 255, separated by commas")
    return DataAddress(".".join(map(str, numbers[:4])), numbers[4] << 8 | numbers[5])


def parse_extended(text: str) -> tuple[int, DataAddress]:
    """Parse the argument of EPRT, `|protocol|address|port|`; return (protocol, address and port) (RFC 2428 section 2).

    The address is validated for protocols 1 (IPv4) and 2 (IPv6) only, and the caller refuses all other protocol
    numbers.
    """
    if len(text) < 2 or not "!" <= text[0] <= "~":
        raise ArgumentError("the first character must be a delimiter")
    parts = text.split(text[0])
    if len(parts) != 5 or parts[4]:
        raise ArgumentError("expected |protocol|address|port|")
    protocol, port = _number(parts[1], 3), _number(parts[3], 5)
    if port > 65535:
        raise ArgumentError("the port must be at most 65535")
    if protocol in (1, 2):
        try:
            host = ip_address(parts[2])
        except ValueError:
            raise ArgumentError("invalid address") from None
        if host.version != (4 if protocol == 1 else 6):
            raise ArgumentError("the address does not belong to the given protocol")
        return protocol, DataAddress(str(host), port)
    return protocol, DataAddress(parts[2], port)


def parse_offset(text: str) -> int:
    """Parse a decimal number of octets, the argument of REST (RFC 3659 section 5.3) and ALLO."""
    return _number(text, OFFSET_DIGITS)


def parse_type(text: str) -> DataType | None:
    """Parse the argument of TYPE; return None for a type that RFC 959 defines and this server does not implement."""
    words = text.upper().split()
    if words in (["A"], ["A", "N"]):
        return DataType.ASCII
    if words in (["I"], ["L", "8"]):
        return DataType.IMAGE
    known = words[:1] in (["A"], ["E"]) and (len(words) == 1 or (len(words) == 2 and words[1] in ("N", "T", "C")))
    if known or (len(words) == 2 and words[0] == "L" and words[1].isascii() and words[1].isdigit()):
        return None
    raise ArgumentError("expected A, E, I or L and a byte size")


def _octet(text: str) -> int:
    value = _number(text, 3)
    if value > 255:
        raise ArgumentError("a number is above 255")
    return value


def _number(text: str, digits: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= digits):
        raise ArgumentError("expected a number")
    return int(text)
