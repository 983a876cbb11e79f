"""Rules of RFC 9113, RFC 7540 and RFC 7541 for a server that receives an error, one line each.

A rule is a name, the octets after the preface and SETTINGS, and the expected reaction: Goaway(code), Reset(stream,
code), or Fine() if the connection continues. Further settings of the client may precede.
"""

from dataclasses import dataclass

from tests.loopback.http.raw_http2 import (
    ACK,
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GET,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    Lines,
    block,
    frame,
    headers,
    number,
    setting,
)


@dataclass(frozen=True)
class Goaway:
    code: int


@dataclass(frozen=True)
class Reset:
    stream_id: int
    code: int


@dataclass(frozen=True)
class Fine:
    """No error; these streams get these status codes."""

    statuses: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Rule:
    name: str
    octets: bytes
    earns: Goaway | Reset | Fine
    settings: tuple[bytes, ...] = ()
    late: bytes = b""


OPEN = headers(1, POST, END_HEADERS)
ANSWERED = headers(1)
# A stream that stays half-closed (remote): the client's window is zero.
NO_WINDOW = (setting(0x4, 0),)
RESET = frame(RST_STREAM, 0, 1, number(8))
BLOCK = block(GET)
PRIORITY_OF_3 = number(3) + b"\x10"


def padded(data: bytes, pad: int) -> bytes:
    return bytes((pad,)) + data + b"\0" * pad


def headers_with(*extra: tuple[bytes, bytes], base: Lines = GET) -> bytes:
    return headers(1, (*base, *extra))


def without(name: bytes) -> Lines:
    return tuple(line for line in GET if line[0] != name)


def posted(length: bytes, *pieces: bytes) -> bytes:
    octets = headers(1, (*POST, (b"content-length", length)), END_HEADERS if pieces else END_HEADERS | END_STREAM)
    for number_, piece in enumerate(pieces, 1):
        octets += frame(DATA, END_STREAM if number_ == len(pieces) else 0, 1, piece)
    return octets


MALFORMED = Reset(1, PROTOCOL_ERROR)

FRAMES = [
    Rule("4.1 unknown frame types are ignored", frame(0x16, 0xFF, 0, b"x" * 8) + frame(0x16, 0, 1), Fine()),
    Rule("4.1 unknown flags are ignored", frame(PING, 0xFE, 0, b"abcdefgh"), Fine()),
    Rule(
        "4.1 the reserved bit is ignored",
        frame(HEADERS, END_STREAM | END_HEADERS, 0x8000_0001, BLOCK),
        Fine(((1, 200),)),
    ),
    Rule("4.2 DATA of the largest size", OPEN + frame(DATA, END_STREAM, 1, b"x" * 16_384), Fine(((1, 200),))),
    Rule("4.2 DATA beyond it", OPEN + frame(DATA, END_STREAM, 1, b"x" * 16_385), Goaway(FRAME_SIZE_ERROR)),
    Rule("4.2 HEADERS beyond it", frame(HEADERS, 5, 1, BLOCK + b"x" * 16_385), Goaway(FRAME_SIZE_ERROR)),
    Rule("4.2 an unknown type beyond it", frame(0x16, 0, 0, b"x" * 16_385), Goaway(FRAME_SIZE_ERROR)),
    Rule("4.3 a block with an index that is none", frame(HEADERS, 5, 1, b"\xff\xff\x03"), Goaway(COMPRESSION_ERROR)),
    Rule("4.3 a block that ends inside a field", frame(HEADERS, 5, 1, BLOCK[:-1]), Goaway(COMPRESSION_ERROR)),
    Rule(
        "4.3 another frame within a block",
        frame(HEADERS, END_STREAM, 1, BLOCK) + frame(PING, 0, 0, b"12345678"),
        Goaway(PROTOCOL_ERROR),
    ),
    Rule(
        "4.3 another stream's HEADERS within a block",
        frame(HEADERS, END_STREAM, 1, BLOCK) + headers(3),
        Goaway(PROTOCOL_ERROR),
    ),
    Rule(
        "5.5 an unknown frame within a block", frame(HEADERS, 1, 1, BLOCK) + frame(0x16, 0, 0), Goaway(PROTOCOL_ERROR)
    ),
]

STATES = [
    Rule("5.1 idle: DATA", frame(DATA, END_STREAM, 1, b"x"), Goaway(PROTOCOL_ERROR)),
    Rule("5.1 idle: RST_STREAM", RESET, Goaway(PROTOCOL_ERROR)),
    Rule("5.1 idle: WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 1, number(100)), Goaway(PROTOCOL_ERROR)),
    Rule("5.1 idle: CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, BLOCK), Goaway(PROTOCOL_ERROR)),
    Rule("5.1 idle: PRIORITY is allowed", frame(PRIORITY, 0, 1, PRIORITY_OF_3), Fine()),
    Rule("5.1 half-closed: DATA", ANSWERED + frame(DATA, 1, 1, b"x"), Reset(1, STREAM_CLOSED), NO_WINDOW),
    Rule("5.1 half-closed: HEADERS", ANSWERED + ANSWERED, Reset(1, STREAM_CLOSED), NO_WINDOW),
    Rule(
        "5.1 half-closed: CONTINUATION",
        ANSWERED + frame(CONTINUATION, END_HEADERS, 1, BLOCK),
        Goaway(PROTOCOL_ERROR),
        NO_WINDOW,
    ),
    Rule(
        "5.1 half-closed: WINDOW_UPDATE and PRIORITY are allowed",
        ANSWERED + frame(WINDOW_UPDATE, 0, 1, number(100)) + frame(PRIORITY, 0, 1, PRIORITY_OF_3),
        Fine(((1, 200),)),
        NO_WINDOW,
    ),
    Rule("5.1 reset by the peer: DATA", OPEN + RESET + frame(DATA, 1, 1, b"x"), Reset(1, STREAM_CLOSED)),
    Rule("5.1 reset by the peer: HEADERS", OPEN + RESET + ANSWERED, Reset(1, STREAM_CLOSED)),
    Rule(
        "5.1 reset by the peer: CONTINUATION",
        OPEN + RESET + frame(CONTINUATION, END_HEADERS, 1, BLOCK),
        Goaway(PROTOCOL_ERROR),
    ),
    Rule("5.1 closed: DATA", ANSWERED, Goaway(STREAM_CLOSED), late=frame(DATA, END_STREAM, 1, b"x")),
    Rule("5.1 closed: HEADERS", ANSWERED, Goaway(STREAM_CLOSED), late=ANSWERED),
    Rule("5.1 closed: CONTINUATION", ANSWERED, Goaway(PROTOCOL_ERROR), late=frame(CONTINUATION, 4, 1, BLOCK)),
    Rule(
        "5.1 closed: WINDOW_UPDATE, PRIORITY and RST_STREAM are allowed",
        ANSWERED,
        Fine(((1, 200),)),
        late=frame(WINDOW_UPDATE, 0, 1, number(9)) + frame(PRIORITY, 0, 1, PRIORITY_OF_3) + RESET,
    ),
    Rule(
        "5.1 reset by the server: what was under way is dropped",
        headers_with((b"A", b"b"), base=GET) + frame(DATA, 0, 1, b"x") + ANSWERED,
        MALFORMED,
    ),
    Rule("5.1.1 an even stream", headers(2), Goaway(PROTOCOL_ERROR)),
    Rule("5.1.1 a stream below the last one", headers(5) + headers(3), Goaway(PROTOCOL_ERROR)),
    Rule("5.1.1 an even stream that was never promised: RST_STREAM", frame(RST_STREAM, 0, 2, number(8)), Goaway(1)),
    Rule(
        "5.3.1 (7540) HEADERS that depend on themselves", frame(HEADERS, 0x25, 1, number(1) + b"\0" + BLOCK), MALFORMED
    ),
    Rule("5.3.1 (7540) PRIORITY on an open stream", OPEN + frame(PRIORITY, 0, 1, number(1) + b"\0"), MALFORMED),
    Rule("5.3.1 (7540) PRIORITY on an idle stream", frame(PRIORITY, 0, 1, number(1) + b"\0"), Goaway(PROTOCOL_ERROR)),
]

KINDS = [
    Rule("6.1 DATA on stream 0", frame(DATA, END_STREAM, 0, b"x"), Goaway(PROTOCOL_ERROR)),
    Rule("6.1 padded DATA", OPEN + frame(DATA, PADDED | END_STREAM, 1, padded(b"hi", 5)), Fine(((1, 200),))),
    Rule("6.1 padding as long as DATA", OPEN + frame(DATA, 9, 1, b"\x06abcde"), Goaway(PROTOCOL_ERROR)),
    Rule("6.1 padding longer than DATA", OPEN + frame(DATA, 9, 1, b"\x06abcd"), Goaway(PROTOCOL_ERROR)),
    Rule("6.1 padded DATA without a pad length", OPEN + frame(DATA, 9, 1), Goaway(FRAME_SIZE_ERROR)),
    Rule("6.2 HEADERS on stream 0", headers(0), Goaway(PROTOCOL_ERROR)),
    Rule("6.2 padded HEADERS", frame(HEADERS, 0x0D, 1, padded(BLOCK, 9)), Fine(((1, 200),))),
    Rule("6.2 HEADERS with priority", frame(HEADERS, 0x25, 1, PRIORITY_OF_3 + BLOCK), Fine(((1, 200),))),
    Rule(
        "6.2 padded HEADERS with priority", frame(HEADERS, 0x2D, 1, padded(PRIORITY_OF_3 + BLOCK, 2)), Fine(((1, 200),))
    ),
    Rule("6.2 padding longer than HEADERS", frame(HEADERS, 0x0D, 1, b"\xff" + BLOCK), Goaway(PROTOCOL_ERROR)),
    Rule("6.2 priority longer than HEADERS", frame(HEADERS, 0x25, 1, b"\0\0\0"), Goaway(FRAME_SIZE_ERROR)),
    Rule("6.3 PRIORITY on stream 0", frame(PRIORITY, 0, 0, PRIORITY_OF_3), Goaway(PROTOCOL_ERROR)),
    Rule("6.3 PRIORITY of 4 octets", OPEN + frame(PRIORITY, 0, 1, b"\0\0\0\3"), Reset(1, FRAME_SIZE_ERROR)),
    Rule("6.4 RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, number(8)), Goaway(PROTOCOL_ERROR)),
    Rule("6.4 RST_STREAM of 3 octets", OPEN + frame(RST_STREAM, 0, 1, b"\0\0\0"), Goaway(FRAME_SIZE_ERROR)),
    Rule("6.5 SETTINGS with ACK and a payload", frame(SETTINGS, ACK, 0, setting(1, 0)), Goaway(FRAME_SIZE_ERROR)),
    Rule("6.5 SETTINGS on a stream", frame(SETTINGS, 0, 1, setting(3, 100)), Goaway(PROTOCOL_ERROR)),
    Rule("6.5 SETTINGS of 3 octets", frame(SETTINGS, 0, 0, b"\0\3\0"), Goaway(FRAME_SIZE_ERROR)),
    Rule("6.5.2 ENABLE_PUSH of 2", frame(SETTINGS, 0, 0, setting(2, 2)), Goaway(PROTOCOL_ERROR)),
    Rule("6.5.2 INITIAL_WINDOW_SIZE too large", frame(SETTINGS, 0, 0, setting(4, 2**31)), Goaway(FLOW_CONTROL_ERROR)),
    Rule("6.5.2 MAX_FRAME_SIZE too small", frame(SETTINGS, 0, 0, setting(5, 16_383)), Goaway(PROTOCOL_ERROR)),
    Rule("6.5.2 MAX_FRAME_SIZE too large", frame(SETTINGS, 0, 0, setting(5, 2**24)), Goaway(PROTOCOL_ERROR)),
    Rule("6.5.2 an unknown setting", frame(SETTINGS, 0, 0, setting(0xFF, 1)) + ANSWERED, Fine(((1, 200),))),
    Rule(
        "6.5.3 settings apply in order",
        frame(SETTINGS, 0, 0, setting(4, 1) + setting(4, 100)) + ANSWERED,
        Fine(((1, 200),)),
    ),
    Rule("6.6 PUSH_PROMISE", OPEN + frame(PUSH_PROMISE, 4, 1, number(2) + BLOCK), Goaway(PROTOCOL_ERROR)),
    Rule("6.7 PING with ACK is not answered", frame(PING, ACK, 0, b"nonsense"), Fine()),
    Rule("6.7 PING on a stream", frame(PING, 0, 1, b"12345678"), Goaway(PROTOCOL_ERROR)),
    Rule("6.7 PING of 6 octets", frame(PING, 0, 0, b"123456"), Goaway(FRAME_SIZE_ERROR)),
    Rule("6.8 GOAWAY on a stream", frame(GOAWAY, 0, 1, number(0) * 2), Goaway(PROTOCOL_ERROR)),
    Rule("6.8 GOAWAY of 4 octets", frame(GOAWAY, 0, 0, number(0)), Goaway(FRAME_SIZE_ERROR)),
    Rule(
        "6.8 what is asked before GOAWAY is answered", ANSWERED + frame(GOAWAY, 0, 0, number(0) * 2), Fine(((1, 200),))
    ),
    Rule("6.9 WINDOW_UPDATE of 0", frame(WINDOW_UPDATE, 0, 0, number(0)), Goaway(PROTOCOL_ERROR)),
    Rule("6.9 WINDOW_UPDATE of 0 on a stream", OPEN + frame(WINDOW_UPDATE, 0, 1, number(0)), MALFORMED),
    Rule("6.9 WINDOW_UPDATE of 3 octets", frame(WINDOW_UPDATE, 0, 0, b"\0\0\1"), Goaway(FRAME_SIZE_ERROR)),
    Rule(
        "6.9.1 the connection's window too large",
        frame(WINDOW_UPDATE, 0, 0, number(2**31 - 1)) * 2,
        Goaway(FLOW_CONTROL_ERROR),
    ),
    Rule(
        "6.9.1 a stream's window too large",
        OPEN + frame(WINDOW_UPDATE, 0, 1, number(2**31 - 1)) * 2,
        Reset(1, FLOW_CONTROL_ERROR),
    ),
    Rule(
        "6.9.2 a change that makes a stream's window too large",
        OPEN + frame(WINDOW_UPDATE, 0, 1, number(2**31 - 1 - 65_535)) + frame(SETTINGS, 0, 0, setting(4, 65_536)),
        Goaway(FLOW_CONTROL_ERROR),
    ),
    Rule(
        "6.9.1 DATA beyond a stream's window",
        # Only some streams are widened at a time; the fifth one waits.
        b"".join(
            headers(stream_id, POST, END_HEADERS) + frame(DATA, 0, stream_id, b"x" * 10) for stream_id in (1, 3, 5, 7)
        )
        + headers(9, POST, END_HEADERS)
        + frame(DATA, 0, 9, b"x" * 16_384) * 4,
        Reset(9, FLOW_CONTROL_ERROR),
    ),
    Rule(
        "6.10 CONTINUATION frames",
        frame(HEADERS, END_STREAM, 1, BLOCK[:5])
        + frame(CONTINUATION, 0, 1, BLOCK[5:9])
        + frame(CONTINUATION, END_HEADERS, 1, BLOCK[9:]),
        Fine(((1, 200),)),
    ),
    Rule("6.10 CONTINUATION on stream 0", frame(HEADERS, 1, 1, BLOCK) + frame(CONTINUATION, 4, 0, b""), Goaway(1)),
    Rule("6.10 CONTINUATION of nothing", headers(1) + frame(CONTINUATION, 4, 1, BLOCK), Goaway(PROTOCOL_ERROR)),
    Rule("6.10 CONTINUATION after DATA", OPEN + frame(DATA, 0, 1, b"x") + frame(CONTINUATION, 4, 1, BLOCK), Goaway(1)),
]

MESSAGES = [
    Rule("8.1 trailers", OPEN + frame(DATA, 0, 1, b"hi") + headers(1, [(b"x-sum", b"1")]), Fine(((1, 200),))),
    Rule("8.1 trailers that do not end the stream", OPEN + headers(1, [(b"x", b"1")], END_HEADERS), MALFORMED),
    Rule("8.1 a pseudo-header field in trailers", OPEN + headers(1, [(b":method", b"GET")]), MALFORMED),
    Rule("8.1 upper case in trailers", OPEN + headers(1, [(b"X-Sum", b"1")]), MALFORMED),
    Rule("8.1.1 more content than said, in one frame", posted(b"1", b"hi"), MALFORMED),
    Rule("8.1.1 more content than said, in two", posted(b"1", b"h", b"i"), MALFORMED),
    Rule("8.1.1 less content than said", posted(b"3", b"hi"), MALFORMED),
    Rule("8.1.1 no content, where some was said", posted(b"3"), MALFORMED),
    Rule(
        "8.1.1 less content than said, then trailers",
        posted(b"3", b"h", b"")[:-9] + headers(1, [(b"x", b"1")]),
        MALFORMED,
    ),
    Rule("8.1.1 as much content as said", posted(b"2", b"h", b"i"), Fine(((1, 200),))),
    Rule("8.1.1 Content-Length that is no number", posted(b"+2", b"hi"), MALFORMED),
    Rule("8.2.1 upper case in a name", headers_with((b"X-Test", b"ok")), MALFORMED),
    Rule("8.2.1 a space in a name", headers_with((b"x test", b"ok")), MALFORMED),
    Rule("8.2.1 an empty name", headers_with((b"", b"ok")), MALFORMED),
    Rule("8.2.1 an octet above 0x7f in a name", headers_with((b"x\x80", b"ok")), MALFORMED),
    Rule("8.2.1 a colon in a name", headers_with((b"x:y", b"ok")), MALFORMED),
    Rule("8.2.1 NUL in a value", headers_with((b"x", b"a\0b")), MALFORMED),
    Rule("8.2.1 CR LF in a value", headers_with((b"x", b"a\r\nb: c")), MALFORMED),
    Rule("8.2.1 LF in a pseudo-header field's value", headers(1, (*without(b":path"), (b":path", b"/\nx"))), MALFORMED),
    Rule("8.2.1 a space before a value", headers_with((b"x", b" a")), MALFORMED),
    Rule("8.2.1 a tab after a value", headers_with((b"x", b"a\t")), MALFORMED),
    *(
        Rule(f"8.2.2 {name.decode()}", headers_with((name, b"close")), MALFORMED)
        for name in (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
    ),
    Rule("8.2.2 TE other than trailers", headers_with((b"te", b"trailers, deflate")), MALFORMED),
    Rule("8.2.2 TE: trailers", headers_with((b"te", b"trailers")), Fine(((1, 200),))),
    Rule("8.3 an unknown pseudo-header field", headers_with((b":test", b"ok")), MALFORMED),
    Rule("8.3 :protocol", headers_with((b":protocol", b"websocket")), MALFORMED),
    Rule("8.3 :status in a request", headers_with((b":status", b"200")), MALFORMED),
    Rule("8.3 a pseudo-header field after a field", headers(1, ((b"x", b"y"), *GET)), MALFORMED),
    *(Rule(f"8.3.1 no {name.decode()}", headers(1, without(name)), MALFORMED) for name, _ in GET[:3]),
    *(Rule(f"8.3.1 {name.decode()} twice", headers_with((name, value)), MALFORMED) for name, value in GET),
    Rule("8.3.1 an empty :path", headers(1, (*without(b":path"), (b":path", b""))), MALFORMED),
    Rule("8.3.1 a :path without a slash", headers(1, (*without(b":path"), (b":path", b"a.txt"))), MALFORMED),
    Rule("8.3.1 an asterisk for GET", headers(1, (*without(b":path"), (b":path", b"*"))), MALFORMED),
    Rule("8.3.1 Host as :authority says", headers_with((b"host", b"a")), Fine(((1, 200),))),
    Rule("8.3.1 Host other than :authority", headers_with((b"host", b"b")), MALFORMED),
    Rule("8.3.1 Host alone", headers(1, (*without(b":authority"), (b"host", b"a"))), Fine(((1, 200),))),
    Rule("8.3.1 neither is 400", headers(1, without(b":authority")), Fine(((1, 400),))),
    Rule(
        "8.3.1 user information is 400",
        headers(1, (*without(b":authority"), (b":authority", b"u@a"))),
        Fine(((1, 400),)),
    ),
    Rule("8.3.1 another scheme is 421", headers(1, (*without(b":scheme"), (b":scheme", b"https"))), Fine(((1, 421),))),
    Rule("8.5 CONNECT with :path", headers(1, ((b":method", b"CONNECT"), *GET[1:])), MALFORMED),
    Rule("8.5 CONNECT is 501", headers(1, ((b":method", b"CONNECT"), (b":authority", b"a:1"))), Fine(((1, 501),))),
    Rule("8.8.1 an unknown method is 501", headers(1, ((b":method", b"BREW"), *GET[1:])), Fine(((1, 501),))),
]


def coded(octets: bytes) -> bytes:
    return frame(HEADERS, END_STREAM | END_HEADERS, 1, octets)


HPACK = [
    Rule("7541 2.3.3 an index beyond both tables", coded(b"\xc6"), Goaway(COMPRESSION_ERROR)),
    Rule("7541 2.3.3 a name's index beyond both tables", coded(b"\x7e\x01a"), Goaway(COMPRESSION_ERROR)),
    Rule("7541 4.2 a table size after a field", coded(BLOCK + b"\x20"), Goaway(COMPRESSION_ERROR)),
    Rule("7541 5.1 an integer without end", coded(b"\xff" + b"\xff" * 20), Goaway(COMPRESSION_ERROR)),
    Rule("7541 5.2 a string longer than the block", coded(b"\x00\x01x\x7f\xff\xff\x7f"), Goaway(COMPRESSION_ERROR)),
    Rule(
        "7541 5.2 Huffman padding of more than 7 bits",
        coded(BLOCK + b"\x00\x01x\x82\x1f\xff"),
        Goaway(COMPRESSION_ERROR),
    ),
    Rule("7541 5.2 Huffman padding with zeros", coded(BLOCK + b"\x00\x01x\x81\x18"), Goaway(COMPRESSION_ERROR)),
    Rule("7541 5.2 EOS in a string", coded(BLOCK + b"\x00\x01x\x84\xff\xff\xff\xff"), Goaway(COMPRESSION_ERROR)),
    Rule("7541 6.1 index 0", coded(b"\x80"), Goaway(COMPRESSION_ERROR)),
    Rule("7541 6.3 a table larger than announced", coded(b"\x3f\xe2\x1f" + BLOCK), Goaway(COMPRESSION_ERROR)),
    Rule("7541 6.3 a table as large as announced", coded(b"\x3f\xe1\x1f" + BLOCK), Fine(((1, 200),))),
    Rule("7541 4.3 a table of nothing", coded(b"\x20" + BLOCK), Fine(((1, 200),))),
    Rule("7541 6.2.2 and 6.2.3 fields that are never indexed", coded(b"\x10" + BLOCK[1:]), Fine(((1, 200),))),
]

CALM = Goaway(ENHANCE_YOUR_CALM)
BOMB = b"\x40\x01x" + b"\x7f\xa1\x1e" + b"v" * 4000


MANY = range(1, 4001, 2)
RAPID_RESETS = b"".join(
    headers(stream_id, POST, END_HEADERS) + frame(RST_STREAM, 0, stream_id, number(8)) for stream_id in MANY
)
MADE_RESETS = b"".join(headers(stream_id, without(b":path")) for stream_id in MANY)

FLOODS = [
    Rule("10.5 streams opened and reset", RAPID_RESETS, CALM),
    Rule("10.5 streams the server is made to reset", MADE_RESETS, CALM),
    Rule("10.5 PING", frame(PING, 0, 0, b"aaaaaaaa") * 2000, CALM),
    Rule("10.5 SETTINGS", frame(SETTINGS, 0, 0) * 2000, CALM),
    Rule("10.5 SETTINGS with ACK", frame(SETTINGS, ACK, 0) * 2000, CALM),
    Rule("10.5 PRIORITY", frame(PRIORITY, 0, 1, PRIORITY_OF_3) * 2000, CALM),
    Rule("10.5 empty DATA", OPEN + frame(DATA, 0, 1) * 2000, CALM),
    Rule("10.5 DATA of padding alone", OPEN + frame(DATA, PADDED, 1, padded(b"", 1)) * 2000, CALM),
    Rule("10.5 WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, number(1)) * 2000, CALM),
    Rule("10.5 unknown frames", frame(0x55, 0, 0) * 2000, CALM),
    Rule("10.5 DATA on a stream that the server reset", headers_with((b"A", b"")) + frame(DATA, 0, 1) * 2000, CALM),
    Rule("10.5 CONTINUATION without end", frame(HEADERS, 1, 1, BLOCK) + frame(CONTINUATION, 0, 1, b"") * 20, CALM),
    Rule(
        "10.5 a header block without end",
        frame(HEADERS, 1, 1, b"") + frame(CONTINUATION, 0, 1, b"x" * 16_384) * 5,
        CALM,
    ),
    Rule("10.5.1 a list larger than announced is 431", coded(block(GET) + BOMB + b"\xbe" * 20), Fine(((1, 431),))),
    Rule("10.5.1 a compressed bomb", coded(block(GET) + BOMB + b"\xbe" * 8000), CALM),
    Rule("10.5.1 too many fields is 431", coded(block((*GET, *((b"a", b"b"),) * 200))), Fine(((1, 431),))),
]

RULES = [*FRAMES, *STATES, *KINDS, *MESSAGES, *HPACK, *FLOODS]

# Invalid prefaces, and first frames other than SETTINGS (section 3.4): the input, without the client's preface.
PREFACES = [
    PREFACE + frame(PING, 0, 0, b"12345678"),
    PREFACE + frame(SETTINGS, ACK, 0),
    PREFACE + headers(1),
]
