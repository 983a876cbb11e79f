"""Mutations of binary protocols that keep their framing: DNS messages, DNS over TCP, HTTP/2 frames."""

from __future__ import annotations

from random import Random

from tests.fuzz.mutation import change_any

_HEADER = 12
# Types and classes of questions and records that servers treat in a way of their own, and some that are unassigned.
TYPES = (
    0,
    1,
    2,
    5,
    6,
    12,
    15,
    16,
    28,
    33,
    35,
    39,
    41,
    43,
    46,
    47,
    48,
    50,
    51,
    64,
    65,
    249,
    250,
    251,
    252,
    253,
    255,
    65535,
)
CLASSES = (0, 1, 3, 4, 254, 255, 65535)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# The fields of literal header blocks, valid and not (RFC 9113 section 8).
FIELDS = (
    (b":method", b"GET"), (b":method", b"POST"), (b":method", b"CONNECT"), (b":scheme", b"http"), (b":path", b"/a.txt"),
    (b":path", b"/echo"), (b":path", b""), (b":path", b"*"), (b":authority", b"a.example"), (b":authority", b""),
    (b":protocol", b"websocket"), (b":status", b"200"), (b"host", b"b.example"), (b"content-length", b"5"),
    (b"content-length", b"-1"), (b"Upper", b"x"), (b"te", b"trailers"), (b"te", b"gzip"), (b"connection", b"close"),
    (b"transfer-encoding", b"chunked"), (b"cookie", b"a=b"), (b"expect", b"100-continue"), (b"range", b"bytes=0-1,1-2"),
    (b"if-none-match", b"*"), (b"", b"x"), (b"x", b"a\r\nb: c"), (b"x", b"y" * 5000), (b"priority", b"u=9, i"),
)  # fmt: skip
_REQUEST = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/a.txt"), (b":authority", b"a.example"))


# DNS.


def change_message(message: bytes, random: Random) -> bytes:
    """Change one DNS message: its header, a pointer, a type, a length or any octets."""
    if len(message) < _HEADER + 5:
        return change_any(message, random)
    changed = bytearray(message)
    at = random.randrange(_HEADER, len(changed) - 1)
    match random.choice(
        ("flags", "count", "pointer", "type", "class", "length", "label", "any", "cut", "trail", "again")
    ):
        case "flags":
            changed[2 + random.randrange(2)] ^= 1 << random.randrange(8)
        case "count":
            where = 4 + 2 * random.randrange(4)
            changed[where : where + 2] = random.choice((0, 1, 2, 3, 255, 65535)).to_bytes(2, "big")
        case "pointer":
            target = random.choice((0, _HEADER, at, max(0, at - 1), at + 2, len(changed), 0x3FFF))
            changed[at : at + 2] = (0xC000 | (target & 0x3FFF)).to_bytes(2, "big")
        case "type":
            changed[at : at + 2] = random.choice(TYPES).to_bytes(2, "big")
        case "class":
            changed[at : at + 2] = random.choice(CLASSES).to_bytes(2, "big")
        case "length":
            changed[at : at + 2] = random.choice((0, 1, 4, 63, 64, 255, 256, 65535)).to_bytes(2, "big")
        case "label":
            changed[at] = random.choice((0, 1, 62, 63, 64, 65, 0x80, 0xC0, 0xFF))
        case "cut":
            del changed[at:]
        case "trail":
            changed += random.randbytes(random.choice((1, 11, 500)))
        case "again":
            start = random.randrange(_HEADER, at + 1)
            changed[at:at] = changed[start:at] * random.choice((1, 2, 40))
        case _:
            return change_any(message, random)
    return bytes(changed)


def change_dns_stream(octets: bytes, random: Random) -> bytes:
    """Change one message of DNS over TCP; its length mostly follows (RFC 1035 section 4.2.2)."""
    messages, at = [], 0
    while at + 2 <= len(octets):
        length = int.from_bytes(octets[at : at + 2], "big")
        messages.append(octets[at + 2 : at + 2 + length])
        at += 2 + length
    if not messages:
        return change_any(octets, random)
    place = random.randrange(len(messages))
    messages[place] = change_message(messages[place], random)[:65_535]
    framed = [len(message).to_bytes(2, "big") + message for message in messages]
    if random.random() < 0.2:
        framed[place] = random.choice((0, 1, 11, 12, 13, 512, 65535)).to_bytes(2, "big") + messages[place]
    if random.random() < 0.2:
        framed *= random.choice((2, 30, 200))
    return b"".join(framed)


def change_dns(octets: bytes, random: Random) -> bytes:
    """Change a datagram or a stream: a stream begins with the length of its first message."""
    first = int.from_bytes(octets[:2], "big")
    if 12 <= first <= len(octets) - 2:
        return change_dns_stream(octets, random)
    return change_message(octets, random)


# HTTP/2.


def frame(kind: int, flags: int, stream: int, payload: bytes, length: int | None = None) -> bytes:
    """Return a frame (RFC 9113 section 4.1); `length` is written instead of the true one."""
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def literal_block(fields: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Return a header block of literals without indexing (RFC 7541 section 6.2.2)."""
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)


def _string(octets: bytes) -> bytes:
    if len(octets) < 127:
        return bytes((len(octets),)) + octets
    prefix, rest = b"\x7f", len(octets) - 127
    while rest >= 128:
        prefix += bytes((rest & 127 | 128,))
        rest >>= 7
    return prefix + bytes((rest,)) + octets


def _frames(octets: bytes) -> list[tuple[int, int, int, bytes]]:
    found, at = [], 0
    while at + 9 <= len(octets):
        length = int.from_bytes(octets[at : at + 3], "big")
        stream = int.from_bytes(octets[at + 5 : at + 9], "big")
        found.append((octets[at + 3], octets[at + 4], stream, octets[at + 9 : at + 9 + length]))
        at += 9 + length
    return found


def change_frames(octets: bytes, random: Random) -> bytes:
    """Change one frame of a send, or insert another."""
    preface = PREFACE if octets.startswith(PREFACE) else b""
    found = _frames(octets[len(preface) :])
    if not found or octets[:4] == b"GET ":
        return change_any(octets, random)
    at = random.randrange(len(found))
    kind, flags, stream, payload = found[at]
    length, inserted = None, 0
    match random.choice(
        ("kind", "flags", "stream", "payload", "length", "block", "new", "repeat", "settings", "window")
    ):
        case "kind":
            kind = random.choice((*range(10), 13, 255))
        case "flags":
            flags ^= 1 << random.randrange(8)
        case "stream":
            stream = random.choice((0, 1, 2, 3, 5, 7, 9, 101, stream + 2, 0x7FFFFFFF, 0x80000001))
        case "payload":
            payload = change_any(payload, random)[:70_000]
        case "length":
            length = random.choice((0, 1, len(payload) + 1, max(0, len(payload) - 1), 16_385, 0xFFFFFF))
        case "block":
            chosen = random.sample(FIELDS, random.randint(1, 6))
            base = _REQUEST if random.random() < 0.7 else ()
            kind, flags = 1, random.choice((4, 5, 0, 1, 0x24, 0x2C))
            payload, stream = literal_block((*base, *chosen)), random.choice((stream, stream + 2))
        case "new":
            size = random.choice((0, 4, 5, 8, 60))
            found.insert(at, (random.randrange(11), random.choice((0, 1, 4, 5, 8)), stream, random.randbytes(size)))
            inserted = 1
        case "repeat":
            inserted = random.choice((1, 10, 150))
            found[at:at] = [found[at]] * inserted
        case "settings":
            pair = random.choice((*range(1, 10), 0xFFFF)), random.choice((0, 1, 100, 16_384, 2**24, 2**31, 2**32 - 1))
            found.insert(at, (4, 0, 0, pair[0].to_bytes(2, "big") + pair[1].to_bytes(4, "big")))
            inserted = 1
        case "window":
            amount = random.choice((0, 1, 65_535, 2**31 - 1, 2**31))
            found.insert(at, (8, 0, random.choice((0, stream)), amount.to_bytes(4, "big")))
            inserted = 1
    # Inserted frames stand before the changed one.
    pieces = [frame(*one) for one in (*found[: at + inserted], (kind, flags & 255, stream & 0xFFFFFFFF, payload))]
    if length is not None:
        pieces[-1] = frame(kind, flags & 255, stream & 0xFFFFFFFF, payload, length)
    return preface + b"".join((*pieces, *(frame(*one) for one in found[at + inserted + 1 :])))
