"""Partial content: ranges of stored responses, and combination of stored parts (RFC 9111 sections 3.3 and 3.4)."""

from tests.loopback.http.cache_probes.probing import (
    OWN,
    Outcome,
    Probe,
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
    status_in,
)

HOUR = "Cache-Control: max-age=3600"
WHOLE = b"0123456789"
MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Mon, 07 Nov 1994 08:49:37 GMT"
STORED = (HOUR, 'ETag: "a"', f"Last-Modified: {MODIFIED}", "Content-Type: text/plain")


def _stored(*fields: str, status: int = 200) -> Step:
    return get(asked=True, status=status, reply=Reply(status, fields or STORED, WHOLE))


def _part(value: str, first_place: int, last_place: int, *more: str) -> Probe:
    wanted = WHOLE[first_place : last_place + 1]
    answer = (
        has("Content-Range", f"bytes {first_place}-{last_place}/10"),
        has("Content-Length", str(len(wanted))),
        has("ETag"),
    )
    name = " with ".join((f"Range: {value}", *more))
    return allowed("9110 14.2", name, _stored(), hit(f"Range: {value}", *more, of=wanted, status=206, checks=answer))


def _ignored(value: str, *more: str, stored: tuple[str, ...] = STORED) -> Probe:
    name = f"Range: {value}{''.join(f' with {line}' for line in more)}"
    return required(
        "9110 14.2", f"{name} means nothing for {stored[-1]}", _stored(*stored), hit(f"Range: {value}", *more, of=WHOLE)
    )


def _unsatisfiable(value: str) -> Probe:
    step = get(f"Range: {value}", status=416, asked=False, checks=(has("Content-Range", "bytes */10"),))
    return allowed("9110 15.5.17", f"Range: {value} cannot be", _stored(), step)


def _is_multipart(*parts: bytes) -> object:
    def check(outcome: Outcome) -> str | None:
        kind = (outcome.got.values("Content-Type") or [""])[0]
        places = [outcome.got.content.find(b"\r\n\r\n" + part + b"\r\n--") for part in parts]
        good = kind.startswith("multipart/byteranges; boundary=") and -1 not in places and places == sorted(places)
        return None if good else f"no multipart of {parts}"

    return check


WEAK = (HOUR, 'ETag: W/"a"', f"Last-Modified: {MODIFIED}")

OF_WHOLE = [
    _part("bytes=0-3", 0, 3),
    _part("bytes=5-", 5, 9),
    _part("bytes=-3", 7, 9),
    _part("bytes=-99", 0, 9),
    _part("bytes=0-99", 0, 9),
    _part("bytes=9-9", 9, 9),
    _part("Bytes=2-4", 2, 4),
    _part("bytes=0-99999999999999999999999", 0, 9),
    _part("bytes=1-2,", 1, 2),
    _part("bytes=0-3", 0, 3, 'If-Range: "a"'),
    _part("bytes=0-3", 0, 3, f"If-Range: {MODIFIED}"),
    _part("bytes=0-3", 0, 3, 'If-None-Match: "b"'),
    _part("bytes=0-3", 0, 3, "Cache-Control: only-if-cached"),
    _unsatisfiable("bytes=10-"),
    _unsatisfiable("bytes=100-200"),
    _unsatisfiable("bytes=-0"),
    _unsatisfiable("bytes=99999999999999999999-"),
    *(
        _ignored(value)
        for value in ("bytes=abc", "bytes=5-3", "bytes=", "bytes", "bytes=-", "foo=0-1", "bytes=0-1-2", "bytes=+1-2")
    ),
    _ignored("bytes=0-3", 'If-Range: "b"'),
    _ignored("bytes=0-3", 'If-Range: W/"a"'),
    _ignored("bytes=0-3", f"If-Range: {LATER}"),
    _ignored("bytes=0-3", "If-Range: foo"),
    _ignored("bytes=0-3", 'If-Range: W/"a"', stored=WEAK),
    _ignored("bytes=0-3", 'If-Range: "a"', stored=WEAK),
    required("9110 14.2", "Range means nothing for HEAD", _stored(), Step(("Range: bytes=0-3",), "HEAD", asked=False)),
    required(
        "9110 14.2",
        "Range means nothing for 404",
        _stored(*STORED, status=404),
        hit("Range: bytes=0-3", of=WHOLE, status=404),
    ),
    allowed(
        "9110 15.3.7.2",
        "two ranges",
        _stored(),
        get(
            "Range: bytes=0-1, 8-9",
            asked=False,
            status=206,
            checks=(_is_multipart(b"01", b"89"), lacks("Content-Range")),
        ),
    ),
    allowed(
        "9110 15.3.7.2",
        "two ranges, one of which is there",
        _stored(),
        hit("Range: bytes=0-1, 20-30", of=b"01", status=206),
    ),
    required(
        "9110 14.2",
        "many small overlapping ranges",
        _stored(),
        get("Range: bytes=" + ",".join(["0-8"] * 200), asked=False, status=None, checks=(status_in(200, 206, 416),)),
    ),
    required(
        "9110 14.2",
        "two lines of Range",
        _stored(),
        get("Range: bytes=0-1", "Range: bytes=8-9", status=None, checks=(status_in(200, 206, 400),)),
    ),
    required(
        "9111 4.2",
        "a range of what is stale is asked for",
        get(asked=True, reply=Reply(200, ("Cache-Control: max-age=1", "Age: 5", 'ETag: "a"'), WHOLE)),
        get(
            "Range: bytes=0-1",
            asked=True,
            status=206,
            content=b"01",
            reply=Reply(206, (HOUR, 'ETag: "a"', "Content-Range: bytes 0-1/10"), b"01"),
        ),
    ),
    allowed(
        "9111 4.3.1",
        "a range of what is stale, and it is valid",
        get(asked=True, reply=Reply(200, ("Cache-Control: max-age=1", "Age: 5", 'ETag: "a"'), WHOLE)),
        get("Range: bytes=0-1", asked=True, status=206, content=b"01", reply=Reply(304, (HOUR, 'ETag: "a"'))),
        hit(of=WHOLE),
    ),
]


def _ranged(first_place: int, last_place: int, *fields: str, length: str = "10", **rest: object) -> Step:
    content = WHOLE[first_place : last_place + 1]
    lines = (*(fields or (HOUR, 'ETag: "a"')), f"Content-Range: bytes {first_place}-{last_place}/{length}")
    known = {"fields": (f"Range: bytes={first_place}-{last_place}",), "reply": Reply(206, lines, content), **rest}
    return Step(asked=True, status=206, content=OWN, **known)  # type: ignore[arg-type]


PARTS = [
    required("9110 14.2", "Range goes on where nothing is stored", _ranged(0, 4, checks=(sees("Range", "bytes=0-4"),))),
    required(
        "9111 3.3",
        "a part is not the whole",
        _ranged(0, 4),
        get(asked=True, reply=Reply(200, (HOUR, 'ETag: "b"'), WHOLE), content=WHOLE),
    ),
    allowed(
        "9111 3.3",
        "a stored part for the same range",
        _ranged(2, 6),
        hit("Range: bytes=2-6", of=b"23456", status=206, checks=(has("Content-Range", "bytes 2-6/10"),)),
    ),
    allowed(
        "9111 3.3",
        "a stored part for a range within",
        _ranged(2, 6),
        hit("Range: bytes=3-4", of=b"34", status=206, checks=(has("Content-Range", "bytes 3-4/10"),)),
    ),
    allowed("9111 3.3", "a stored end for a suffix", _ranged(4, 9), hit("Range: bytes=-3", of=b"789", status=206)),
    allowed(
        "9111 3.3", "a stored end for an open range", _ranged(4, 9), hit("Range: bytes=6-", of=b"6789", status=206)
    ),
    allowed(
        "9111 3.3",
        "a part of unknown length",
        _ranged(2, 6, length="*"),
        hit("Range: bytes=3-4", of=b"34", status=206, checks=(has("Content-Range", "bytes 3-4/*"),)),
    ),
    allowed(
        "9111 3.3",
        "a part that is the whole",
        _ranged(0, 9),
        hit(of=WHOLE, checks=(lacks("Content-Range"), has("Content-Length", "10"))),
    ),
    required("9111 3.3", "a range that is wider", _ranged(2, 6), _ranged(2, 7)),
    required("9111 3.3", "a range beside it", _ranged(2, 6), _ranged(7, 9)),
    required(
        "9111 3.3",
        "a suffix with the length unknown",
        _ranged(4, 8, length="*"),
        get(
            "Range: bytes=-2",
            asked=True,
            status=206,
            content=b"89",
            reply=Reply(206, (HOUR, 'ETag: "a"', "Content-Range: bytes 8-9/10"), b"89"),
        ),
    ),
    allowed(
        "9111 3.4",
        "two parts make the whole",
        _ranged(0, 4),
        _ranged(5, 9),
        hit(of=WHOLE, checks=(has("Content-Length", "10"), lacks("Content-Range"))),
    ),
    allowed("9111 3.4", "the second part first", _ranged(5, 9), _ranged(0, 4), hit(of=WHOLE)),
    allowed("9111 3.4", "parts that overlap", _ranged(0, 6), _ranged(4, 9), hit(of=WHOLE)),
    allowed(
        "9111 3.4",
        "parts beside each other for a range over both",
        _ranged(0, 2),
        _ranged(3, 5),
        hit("Range: bytes=1-4", of=b"1234", status=206),
    ),
    allowed(
        "9111 3.4",
        "the new part's fields count",
        _ranged(0, 4, HOUR, 'ETag: "a"', "X-A: 1"),
        _ranged(5, 9, HOUR, 'ETag: "a"', "X-A: 2"),
        hit(of=WHOLE, checks=(has("X-A", "2"),)),
    ),
    *(
        required(
            "9111 3.4", f"parts {name} are not combined", _ranged(0, 4, HOUR, *one), _ranged(5, 9, HOUR, *other), miss()
        )
        for name, one, other in (
            ("with weak tags", ('ETag: W/"a"',), ('ETag: W/"a"',)),
            ("with other tags", ('ETag: "a"',), ('ETag: "b"',)),
            ("without validators", (), ()),
            ("of which one has a tag", ('ETag: "a"',), ()),
        )
    ),
    required("9111 3.4", "parts with a hole", _ranged(0, 3), _ranged(6, 9), miss()),
    required(
        "9110 14.4",
        "a 206 without Content-Range",
        get("Range: bytes=0-4", asked=True, status=None, reply=Reply(206, (HOUR, 'ETag: "a"'), b"01234")),
        miss(),
    ),
    required(
        "9110 14.4",
        "a 206 with a bad Content-Range",
        get(
            "Range: bytes=0-4",
            asked=True,
            status=None,
            reply=Reply(206, (HOUR, "Content-Range: bytes 4-0/10"), b"01234"),
        ),
        miss(),
        get("Range: bytes=0-4", asked=True, status=None),
    ),
    required(
        "9110 14.4",
        "a 206 with another unit",
        get("Range: foo=0-4", asked=True, status=206, reply=Reply(206, (HOUR, "Content-Range: foo 0-4/10"), b"01234")),
        miss("Range: bytes=0-4"),
    ),
    required(
        "9110 14.4",
        "a 206 shorter than its Content-Range",
        get(
            "Range: bytes=0-4",
            asked=True,
            status=None,
            reply=Reply(206, (HOUR, 'ETag: "a"', "Content-Range: bytes 0-4/10"), b"012"),
        ),
        miss("Range: bytes=0-4"),
    ),
    required(
        "9110 15.3.7.2",
        "a multipart 206 is not the whole",
        get(
            "Range: bytes=0-1,8-9",
            asked=True,
            status=206,
            reply=Reply(
                206,
                (HOUR, 'ETag: "a"', "Content-Type: multipart/byteranges; boundary=x"),
                b"--x\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n--x--\r\n",
            ),
        ),
        miss(),
    ),
    required("9111 3", "a 206 with no-store", _ranged(0, 4, "Cache-Control: no-store", 'ETag: "a"'), _ranged(0, 4)),
    required(
        "9110 14.2",
        "a 200 to a Range is the whole",
        get("Range: bytes=0-4", asked=True, reply=Reply(200, STORED, WHOLE), content=WHOLE),
        hit(of=WHOLE),
    ),
    required(
        "9110 15.5.17",
        "a 416 does not replace what is stored",
        _stored(),
        get(
            "Range: bytes=20-",
            "Cache-Control: no-cache",
            asked=True,
            status=416,
            reply=Reply(416, ("Content-Range: bytes */10", HOUR)),
        ),
        hit(of=WHOLE),
    ),
]

PROBES = [*OF_WHOLE, *PARTS]
