"""Control protocol of a running network: requests and replies as JSON objects, and their validation.

A client sends one request as the first message of a connection, with file descriptors attached if the operation takes
any; the server replies {"ok": true, ...} or {"error": MESSAGE}, with descriptors attached if the operation returns any.
The operation `exec` runs a command in a host, and `attach` runs Mininet's command line on the network. The connection
then stays open: the client may send {"signal": NUMBER} for the command, the server sends {"exit": CODE} when the
command ends, and the command is killed if the connection is closed. After `subscribe` each message from the server is
about an event in the network (a notice).

A message is sent in pieces of at most PIECE_BYTES, each preceded by one octet: `+` if more pieces follow, `.` for the
last piece.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab7.topologies.emulation.errors import ArgumentError, EmulationError, TopologyError
from lab7.topologies.emulation.shape import Shape, parse_shape

VERSION = 1
PIECE_BYTES = 32 * 1024
REQUEST_MAX_BYTES = 256 * 1024
REPLY_MAX_BYTES = 64 * 1024 * 1024
MORE, LAST = b"+", b"."
# Name of a running network: a file name, short enough for the path of a socket (unix(7): 108 octets).
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,39}")
# Operation -> its fields with their types, all required.
OPERATIONS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "info": {},
    "exec": {"host": str, "words": list, "terminal": (list, type(None)), "environment": dict},
    "attach": {"terminal": (list, type(None)), "environment": dict},
    "taps": {"ends": list},
    "connect": {"host": str, "address": str, "port": int},
    "link": {"link": str, "set": dict, "only_from": str},
    "cable": {"link": str, "up": bool},
    "service": {"host": str, "action": str},
    "subscribe": {},
    "down": {},
}
# Number of descriptors, the client's standard streams, that an `exec` or `attach` without a terminal has attached.
STREAMS = 3
# Variables of the client's environment that a command in the network gets.
ENVIRONMENT = ("TERM", "COLORTERM", "LANG", "LC_ALL", "LC_CTYPE", "PS1", "COLUMNS", "NO_COLOR")
# Words of `link set` -> parameter of TCLink.
LINK_WORDS = {
    "bw": "bw",
    "delay": "delay",
    "jitter": "jitter",
    "loss": "loss",
    "reorder": "reorder",
    "queue": "max_queue_size",
    "max_queue_size": "max_queue_size",
    "trace": "trace",
}
UNLIMITED = "unlimited"
_BARE_NUMBER = re.compile(r"[0-9.]+(e[+-]?\d+)?", re.IGNORECASE)
_RATE = re.compile(r"([0-9.]+)\s*(?:mbit(?:/s|ps)?)?", re.IGNORECASE)


class ProtocolError(EmulationError):
    """Error for a message that violates the control protocol."""


def pieces(message: Mapping[str, Any]) -> Iterator[bytes]:
    """Split a message of the control protocol into pieces; yield the datagram of each piece."""
    octets = json.dumps(message).encode()
    while len(octets) > PIECE_BYTES:
        yield MORE + octets[:PIECE_BYTES]
        octets = octets[PIECE_BYTES:]
    yield LAST + octets


class Assembler:
    """Assembler of one message of the control protocol from its pieces.

    Raises ProtocolError above `limit_bytes` and for invalid JSON.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._octets = bytearray()

    def add(self, piece: bytes) -> dict[str, Any] | None:
        """Add a piece of the message; return the decoded message once it is complete, None before."""
        self._octets += piece[1:]
        if len(self._octets) > self._limit_bytes:
            raise ProtocolError(f"the message is longer than {self._limit_bytes} octets")
        if piece[:1] == MORE:
            return None
        octets, self._octets = bytes(self._octets), bytearray()
        try:
            message = json.loads(octets)
        except (ValueError, RecursionError):
            raise ProtocolError("the message is not JSON") from None
        if piece[:1] != LAST or not isinstance(message, dict):
            raise ProtocolError("the message is not a JSON object")
        return message


def check_request(message: Mapping[str, Any]) -> str:
    """Validate the fields of a client's request; return the name of its operation.

    Raises ProtocolError for an invalid field.
    """
    if message.get("version") != VERSION:
        raise ProtocolError(
            f"the network speaks version {VERSION} of the control protocol: use the lab7 that it was started with"
        )
    operation = message.get("op")
    if not isinstance(operation, str) or operation not in OPERATIONS:
        raise ProtocolError(f"there is no operation {str(operation)[:40]!r}")
    for name, kind in OPERATIONS[operation].items():
        if name not in message or not isinstance(message[name], kind) or (kind is int and message[name] is True):
            raise ProtocolError(f"the field {name!r} of {operation} is missing or of a wrong type")
    if operation == "exec" and not (message["words"] and _are_words(message["words"])):
        raise ProtocolError("the command is not a list of words")
    if operation == "taps" and not _are_words(message["ends"]):
        raise ProtocolError("the interfaces are not a list of names")
    if operation in ("exec", "attach"):
        _check_streams(message)
    return operation


def _check_streams(message: Mapping[str, Any]) -> None:
    if not _is_environment(message["environment"]):
        raise ProtocolError("the environment is not a mapping of names to texts")
    terminal = message["terminal"]
    if terminal is not None and not (len(terminal) == 2 and all(_is_size(one) for one in terminal)):
        raise ProtocolError("the size of the terminal is not two numbers")


def _are_words(words: Iterable[Any]) -> bool:
    return all(isinstance(word, str) and "\0" not in word for word in words)


def _is_environment(environment: Mapping[Any, Any]) -> bool:
    return _are_words(environment) and _are_words(environment.values()) and not any("=" in name for name in environment)


def _is_size(number: Any) -> bool:
    return isinstance(number, int) and 0 <= number < 1 << 16


def parse_settings(words: Iterable[str]) -> dict[str, str]:
    """Parse `delay=50ms`, `loss=1%`, `bw=10` into a dictionary of TCLink's parameters. Raises TopologyError.

    A time needs its unit; `bw` is in Mbit/s, or `unlimited`; `trace` is a file, by its path from the current folder.
    """
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in LINK_WORDS or not value:
            known = ", ".join(word for word in LINK_WORDS if word != "max_queue_size")
            raise TopologyError(f"{word!r} is not a setting of a link: write one of {known}, for example delay=50ms")
        if name in ("delay", "jitter") and _BARE_NUMBER.fullmatch(value) and float(value or 0) != 0:
            raise TopologyError(f"{name}={value} lacks its unit: write {name}={value}ms")
        if name in ("loss", "reorder"):
            value = value.removesuffix("%")
        elif name == "bw" and value != UNLIMITED:
            rate = _RATE.fullmatch(value)
            value = rate[1] if rate else value
        elif name == "trace":
            value = str(Path(value).resolve())
        given[LINK_WORDS[name]] = value
    if not given:
        raise TopologyError("no setting is given: write for example delay=50ms loss=1% bw=10")
    return given


def changed_shape(old: Shape | None, given: Mapping[str, str]) -> Shape:
    """Return the traffic shape `old` (rate, delay ...) with the given parameters of TCLink replaced.

    Raises TopologyError. A new rate removes the rate trace of `old`, and a new trace removes the rate.
    """
    kept = parameters_of(old or Shape())
    if given.keys() & {"bw", "trace"}:
        kept |= {"bw": None, "trace": None}
    return parse_shape({**kept, **given, **_no_limit(given)}) or Shape()


def _no_limit(given: Mapping[str, str]) -> dict[str, None]:
    return {"bw": None} if given.get("bw") == UNLIMITED else {}


def parameters_of(shape: Shape) -> dict[str, Any]:
    """Return the parameters of TCLink that describe a shape (rate, delay, loss ...)."""
    return {
        "bw": None if shape.rate_bps is None else shape.rate_bps / 1e6,
        "delay": f"{shape.delay_s!r}s",
        "jitter": f"{shape.jitter_s!r}s",
        # Rounded, so that 7 % does not become 7.000000000000001 %.
        "loss": float(f"{shape.loss * 100:.12g}"),
        "reorder": round(shape.reorder * 100, 9),
        "max_queue_size": shape.queue_frames,
        "trace": shape.trace,
    }


def shape_fields(shape: Shape | None) -> dict[str, Any] | None:
    """Return the shape (rate, delay, loss ...) of a link direction for JSON; None for an unshaped direction."""
    return None if shape is None else asdict(shape)


def find_link(text: str, links: Iterable[tuple[tuple[str, str], tuple[str, str]]]) -> int:
    """Return the index of the link that `text` names: by its two nodes (`a-b`), or by one of its interfaces.

    links: ((node, node), (interface, interface)) of each link. An interface name is required if there are several links
    between the two nodes. Names of nodes may contain hyphens. Raises ArgumentError for an unknown or ambiguous name.
    """
    found, every = [], []
    for place, (nodes, interfaces) in enumerate(links):
        every.append("-".join(nodes))
        if text in ("-".join(nodes), "-".join(nodes[::-1]), *interfaces):
            found.append((place, interfaces))
    if not found:
        known = ", ".join(every[:20]) + (", ..." if len(every) > 20 else "")
        raise ArgumentError(f"there is no link {text!r} in this network: its links are {known}")
    if len(found) > 1:
        names = ", ".join(interfaces[0] for _, interfaces in found)
        raise ArgumentError(f"there are {len(found)} links {text}: name the link by its interface, one of {names}")
    return found[0][0]
