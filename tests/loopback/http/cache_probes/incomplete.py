"""Incomplete content, and all framings of HTTP/1 (RFC 9111 section 3.3, RFC 9112 section 6.3)."""

from tests.loopback.http.cache_probes.probing import (
    Check,
    Reply,
    Step,
    allowed,
    get,
    has,
    hit,
    lacks,
    miss,
    required,
    sees,
    sees_no,
    status_in,
)

HOUR = "Cache-Control: max-age=3600"
WHOLE = b"0123456789"

_HEAD = b"HTTP/1.1 200 OK\r\nDate: {now}\r\nCache-Control: max-age=3600\r\n"
_TAGGED = _HEAD + b'ETag: "a"\r\n'
_CUT = _TAGGED + b"Content-Length: 10\r\n\r\n01234"
_CUT_CHUNKS = _TAGGED + b"Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n"


def _cut(octets: bytes, *checks: Check) -> Step:
    whole = (lambda o: "the answer looks whole" if o.got.is_whole else None, *checks)
    return get(asked=True, status=None, reply=Reply(pieces=(octets,), is_closed=True), checks=whole)


def _whole(octets: bytes, is_closed: bool = False) -> Step:
    return get(asked=True, reply=Reply(pieces=(octets,), is_closed=is_closed), content=WHOLE)


PROBES = [
    *(
        required(
            "9111 3.3",
            f"{name} is not the whole",
            _cut(octets),
            get(asked=True, reply=Reply(200, (HOUR, 'ETag: "b"'), WHOLE), content=WHOLE),
        )
        for name, octets in (
            ("too short a content", _CUT),
            ("chunks without an end", _CUT_CHUNKS),
            ("half a chunk", _CUT_CHUNKS[:-4]),
            ("a last chunk without its empty line", _CUT_CHUNKS + b"0\r\n"),
            ("a bad chunk size", _CUT_CHUNKS + b"xyz\r\n01"),
        )
    ),
    allowed(
        "9111 3.3",
        "the rest is asked for",
        _cut(_CUT),
        get(
            asked=True,
            content=WHOLE,
            reply=Reply(206, (HOUR, 'ETag: "a"', "Content-Range: bytes 5-9/10"), WHOLE[5:]),
            checks=(sees("Range", "bytes=5-"), sees("If-Range", '"a"')),
        ),
        hit(of=WHOLE),
    ),
    allowed(
        "9111 3.3",
        "a range within what came",
        _cut(_CUT),
        hit("Range: bytes=1-3", of=b"123", status=206, checks=(has("Content-Range", "bytes 1-3/10"),)),
    ),
    required(
        "9111 3.3",
        "the rest of another representation",
        _cut(_CUT),
        get(asked=True, content=b"new content", reply=Reply(200, (HOUR, 'ETag: "b"'), b"new content")),
        hit(of=b"new content"),
    ),
    required(
        "9111 3.3",
        "no part is asked for without a strong validator",
        _cut(_CUT.replace(b'"a"', b'W/"a"')),
        miss(checks=(sees_no("Range"),)),
    ),
    allowed("9112 6.3", "content up to the end", _whole(_HEAD + b"\r\n" + WHOLE, is_closed=True), hit(of=WHOLE)),
    allowed(
        "9112 6.3",
        "HTTP/1.0 content up to the end",
        _whole(b"HTTP/1.0" + _HEAD[8:] + b"\r\n" + WHOLE, is_closed=True),
        hit(of=WHOLE),
    ),
    allowed(
        "9112 7.1",
        "chunks",
        _whole(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6;a=b\r\n456789\r\n0\r\n\r\n"),
        hit(of=WHOLE),
    ),
    required(
        "9112 6.3",
        "more than Content-Length",
        _whole(_HEAD + b"Content-Length: 10\r\n\r\n" + WHOLE + b"HTTP/1.1 200 OK\r\n\r\nmore", is_closed=True),
        hit(of=WHOLE),
    ),
    required(
        "9112 6.3",
        "two equal lengths",
        get(
            asked=True,
            status=None,
            reply=Reply(pieces=(_HEAD + b"Content-Length: 10\r\nContent-Length: 10\r\n\r\n" + WHOLE,), is_closed=True),
            checks=(status_in(200, 502),),
        ),
    ),
    required(
        "9112 6.3",
        "two other lengths are 502",
        get(
            asked=True,
            status=502,
            reply=Reply(pieces=(_HEAD + b"Content-Length: 10\r\nContent-Length: 5\r\n\r\n" + WHOLE,), is_closed=True),
        ),
        miss(),
    ),
    required(
        "9112 6.3",
        "a bad length is 502",
        get(
            asked=True,
            status=502,
            reply=Reply(pieces=(_HEAD + b"Content-Length: +10\r\n\r\n" + WHOLE,), is_closed=True),
        ),
        miss(),
    ),
    required(
        "9111 3.1",
        "trailers are not header fields",
        get(
            asked=True,
            reply=Reply(
                pieces=(
                    _HEAD
                    + b"Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\na\r\n"
                    + WHOLE
                    + b"\r\n0\r\nX-T: 1\r\nCache-Control: no-store\r\n\r\n",
                )
            ),
            content=WHOLE,
        ),
        get(content=WHOLE, checks=(lacks("X-T"),)),
    ),
    required(
        "9112 6.3",
        "a 204 with a length",
        get(
            asked=True,
            status=204,
            reply=Reply(pieces=(_HEAD.replace(b"200 OK", b"204 No") + b"Content-Length: 10\r\n\r\n",), is_closed=True),
        ),
        get(status=204),
    ),
    allowed(
        "9112 6.3",
        "an empty content",
        get(asked=True, reply=Reply(200, (HOUR,), b"")),
        hit(of=b"", checks=(has("Content-Length", "0"),)),
    ),
]
