r"""Service bindings: rdata of SVCB and HTTPS, and the presentation and wire formats of their parameters.

    1 svc.example. alpn="h2,h3" port=8443 ipv4hint=192.0.2.1

RFC 9460 sections 2 (format), 7 and 8 (alpn, no-default-alpn, port, hints, mandatory) and Appendix A (two levels of
escapes in a list: those of a character-string, and within the decoded string \, and \\), RFC 9461 (dohpath), RFC 9540
(ohttp), RFC 9848 (ech).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from lab7.services.dns.codec.errors import TextError, WireError
from lab7.services.dns.codec.fields import BASE64, U16, VERBATIM_NAME, FieldKind, Rdata, octets_from_base64, quoted
from lab7.services.dns.codec.lexer import Tokens, unescaped
from lab7.services.dns.codec.name import Name, Reader, Writer

MANDATORY, ALPN, NO_DEFAULT_ALPN, PORT, IPV4HINT, ECH, IPV6HINT, DOHPATH, OHTTP = range(9)

_KEYS = {
    "mandatory": MANDATORY,
    "alpn": ALPN,
    "no-default-alpn": NO_DEFAULT_ALPN,
    "port": PORT,
    "ipv4hint": IPV4HINT,
    "ech": ECH,
    "ipv6hint": IPV6HINT,
    "dohpath": DOHPATH,
    "ohttp": OHTTP,
}
_KEY_NAMES = {number: name for name, number in _KEYS.items()}
# RFC 9460 section 14.3.2 reserves key65535 as invalid; BIND, NSD and dnspython accept it nevertheless.
_KEY_MAX = 65_535
_KEY_NUMBER = re.compile(r"key(0|[1-9][0-9]{0,4})", re.ASCII)
_COMMA, _BACKSLASH = ord(","), ord("\\")


def key_from_text(text: str) -> int:
    """Parse a SvcParamKey: a name such as `alpn`, or `keyNNN` without leading zeros; raises TextError."""
    lower = text.lower()
    match = _KEY_NUMBER.fullmatch(lower)
    number = _KEYS.get(lower, int(match[1]) if match else -1)
    if not 0 <= number <= _KEY_MAX:
        raise TextError(f"unknown service parameter {text!r}: expected a name such as alpn, or key65400")
    return number


def key_to_text(key: int) -> str:
    """Return a SvcParamKey as text: a name such as `alpn`, or `keyNNN` for an unknown key."""
    return _KEY_NAMES.get(key) or f"key{key}"


def _items(value: bytes) -> list[bytes]:
    r"""Split a comma-separated list, in which \, and \\ are escapes (RFC 9460 Appendix A.1); raises TextError."""
    items, item, octets = list[bytes](), bytearray(), iter(value)
    for octet in octets:
        if octet == _COMMA:
            items.append(bytes(item))
            item.clear()
        elif octet == _BACKSLASH:
            escaped = next(octets, None)
            if escaped not in (_COMMA, _BACKSLASH):
                raise TextError("in a list, a backslash escapes a comma or a backslash only")
            item.append(escaped)
        else:
            item.append(octet)
    items.append(bytes(item))
    if not all(items):
        raise TextError("a list has an empty item")
    return items


def _listed(items: list[bytes]) -> bytes:
    return b",".join(item.replace(b"\\", b"\\\\").replace(b",", b"\\,") for item in items)


@dataclass(frozen=True, slots=True)
class _Parameter:
    """Codec for the value of one SvcParam, between presentation and wire format; raises TextError or WireError."""

    from_text: Callable[[bytes], bytes]
    to_text: Callable[[bytes], str]


def _mandatory_from_text(value: bytes) -> bytes:
    keys = [key_from_text(item.decode("latin-1")) for item in _items(value)]
    if len(set(keys)) != len(keys):
        raise TextError("mandatory has a key twice")
    return b"".join(key.to_bytes(2, "big") for key in sorted(keys))


def _mandatory_to_text(value: bytes) -> str:
    if not value or len(value) % 2:
        raise WireError("invalid mandatory")
    keys = [int.from_bytes(value[index : index + 2], "big") for index in range(0, len(value), 2)]
    if keys != sorted(set(keys)) or keys[-1] > _KEY_MAX:
        raise WireError("invalid mandatory")
    return ",".join(map(key_to_text, keys))


def _alpn_from_text(value: bytes) -> bytes:
    items = _items(value)
    if any(len(item) > 255 for item in items):
        raise TextError("alpn has an identifier of more than 255 octets")
    return b"".join(bytes((len(item),)) + item for item in items)


def _alpn_to_text(value: bytes) -> str:
    reader, items = Reader(value), list[bytes]()
    while reader.remaining:
        items.append(reader.character_string())
    if not items or not all(items):
        raise WireError("invalid alpn")
    return quoted(_listed(items))


def _port_from_text(value: bytes) -> bytes:
    if not (value.isdigit() and len(value) <= 5 and int(value) <= 65_535):
        raise TextError(f"port is {value.decode('latin-1')!r}, expected a number up to 65535")
    return int(value).to_bytes(2, "big")


def _port_to_text(value: bytes) -> str:
    if len(value) != 2:
        raise WireError("invalid port")
    return str(int.from_bytes(value, "big"))


def _hint(address: type[IPv4Address] | type[IPv6Address], octets: int, family: str) -> _Parameter:
    def from_text(value: bytes) -> bytes:
        packed = b""
        for item in _items(value):
            text = item.decode("latin-1")
            try:
                packed += address(text).packed
            except ValueError as error:
                raise TextError(f"{family} hint {text!r} is no {family} address") from error
        return packed

    def to_text(value: bytes) -> str:
        if not value or len(value) % octets:
            raise WireError("invalid address hint")
        return ",".join(str(address(value[begin : begin + octets])) for begin in range(0, len(value), octets))

    return _Parameter(from_text, to_text)


def _ech_from_text(value: bytes) -> bytes:
    octets = octets_from_base64(value.decode("latin-1"), "ech")
    if not octets:
        raise TextError("ech has no value")
    return octets


def _ech_to_text(value: bytes) -> str:
    if not value:
        raise WireError("invalid ech")
    return BASE64.to_text(value)


def _path_from_text(value: bytes) -> bytes:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TextError("dohpath is not UTF-8") from error
    return value


def _path_to_text(value: bytes) -> str:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError("invalid dohpath") from error
    return quoted(value)


def _opaque_from_text(value: bytes) -> bytes:
    return value


def _opaque_to_text(value: bytes) -> str:
    return quoted(value) if value else ""


def _empty_from_text(value: bytes) -> bytes:
    if value:
        raise TextError("the parameter takes no value")
    return b""


def _empty_to_text(value: bytes) -> str:
    if value:
        raise WireError("the value of a parameter without value must be empty")
    return ""


_OPAQUE = _Parameter(_opaque_from_text, _opaque_to_text)
_EMPTY = _Parameter(_empty_from_text, _empty_to_text)
_PARAMETERS = {
    MANDATORY: _Parameter(_mandatory_from_text, _mandatory_to_text),
    ALPN: _Parameter(_alpn_from_text, _alpn_to_text),
    NO_DEFAULT_ALPN: _EMPTY,
    PORT: _Parameter(_port_from_text, _port_to_text),
    IPV4HINT: _hint(IPv4Address, 4, "IPv4"),
    ECH: _Parameter(_ech_from_text, _ech_to_text),
    IPV6HINT: _hint(IPv6Address, 16, "IPv6"),
    DOHPATH: _Parameter(_path_from_text, _path_to_text),
    OHTTP: _EMPTY,
}
Parameters = tuple[tuple[int, bytes], ...]


class _ParameterList(FieldKind[Parameters]):
    """Rdata field: SvcParams in ascending order of their keys, with values in wire format."""

    def read(self, reader: Reader) -> Parameters:
        parameters: list[tuple[int, bytes]] = []
        previous = -1
        while reader.remaining:
            key, value = reader.u16(), reader.octets(reader.u16())
            # RFC 9460 section 2.2: keys strictly increase, and a malformed value makes the whole record malformed.
            if not previous < key <= _KEY_MAX:
                raise WireError("service parameters out of order")
            _PARAMETERS.get(key, _OPAQUE).to_text(value)
            parameters.append((key, value))
            previous = key
        try:
            _check(dict(parameters))
        except TextError as error:
            raise WireError(str(error)) from error
        return tuple(parameters)

    def write(self, writer: Writer, value: Parameters) -> None:
        for key, octets in value:
            writer.u16(key)
            writer.u16(len(octets))
            writer.write(octets)

    def from_tokens(self, tokens: Tokens, label: str) -> Parameters:
        parameters: dict[int, bytes] = {}
        while len(tokens):
            word = tokens.token(label)
            name, equals, text = word.text.partition("=")
            following = tokens.peek()
            if equals and not text and following is not None and following.quoted and following.joined:
                text = tokens.token(label).text
            elif equals and not text:
                raise TextError(f"the service parameter {name} has = without a value")
            key = key_from_text(name)
            if key in parameters:
                raise TextError(f"the service parameter {name} is given twice")
            parameters[key] = _value(key, name, unescaped(text))
        _check(parameters)
        return tuple(sorted(parameters.items()))

    def to_text(self, value: Parameters) -> str:
        return " ".join(_parameter_to_text(key, octets) for key, octets in value)


def _value(key: int, name: str, text: bytes) -> bytes:
    """Convert the text of a SvcParam's value to wire format; raises TextError.

    After a generic key name, such as key667, the text is the wire format itself (RFC 9460 section 2.1).
    """
    if not name.lower().startswith("key"):
        if not text and _PARAMETERS[key] is not _EMPTY:
            raise TextError(f"the service parameter {name} needs a value")
        return _PARAMETERS[key].from_text(text)
    try:
        _PARAMETERS.get(key, _OPAQUE).to_text(text)
    except WireError as error:
        raise TextError(f"the service parameter {name} has an invalid value: {error}") from error
    return text


def _check(parameters: dict[int, bytes]) -> None:
    """Check that SvcParams are consistent (no-default-alpn, mandatory; RFC 9460 7.1.1 and 8); raises TextError."""
    if NO_DEFAULT_ALPN in parameters and ALPN not in parameters:
        raise TextError("no-default-alpn needs alpn")
    if MANDATORY not in parameters:
        return
    value = parameters[MANDATORY]
    keys = [int.from_bytes(value[index : index + 2], "big") for index in range(0, len(value), 2)]
    if MANDATORY in keys:
        raise TextError("mandatory lists itself")
    missing = [key_to_text(key) for key in keys if key not in parameters]
    if missing:
        raise TextError(f"mandatory lists {', '.join(missing)}, which the record does not have")


def _parameter_to_text(key: int, octets: bytes) -> str:
    text = _PARAMETERS.get(key, _OPAQUE).to_text(octets)
    return f"{key_to_text(key)}={text}" if text else key_to_text(key)


@dataclass(frozen=True, slots=True)
class SVCB(Rdata):
    """Rdata of SVCB and HTTPS: an endpoint of a service and its parameters, or an alias (priority 0)."""

    shape = (("priority", U16), ("target", VERBATIM_NAME), ("parameters", _ParameterList()))
    priority: int
    target: Name
    parameters: Parameters
