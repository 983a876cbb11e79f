"""Unusual messages of origins and clients, and persistent connections (RFC 9112)."""

from tests.loopback.http.cache_probes.probing import (
    Check,
    Outcome,
    Probe,
    Reply,
    Step,
    allowed,
    get,
    has,
    lacks,
    miss,
    required,
    sees,
    status_in,
)

HOUR = "Cache-Control: max-age=3600"
_START = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
_FRESH = b"Cache-Control: max-age=3600\r\nContent-Length: 2\r\n\r\nok"


def _answered(name: str, octets: bytes, *statuses: int, is_closed: bool = True, section: str = "9112 6.3") -> Probe:
    """Expect one of these statuses for the client, and no worse response for the second one."""
    step = get(
        asked=True, status=None, reply=Reply(pieces=(octets,), is_closed=is_closed), checks=(status_in(*statuses),)
    )
    return required(section, name, step, get(status=200))


def _is_unstored(name: str, octets: bytes) -> Probe:
    step = get(asked=True, status=None, reply=Reply(pieces=(octets,), is_closed=True))
    return required("9112 6.3", f"{name} is not stored", step, miss())


RESPONSES = [
    _answered("101 nobody asked for", b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", 502),
    _answered("a version to come", b"HTTP/1.9 200 OK\r\n" + _FRESH, 200, 502),
    _answered("another protocol", b"FOO/1.1 200 OK\r\n" + _FRESH, 502),
    _answered("HTTP/2.0 in a start line", b"HTTP/2.0 200 OK\r\n" + _FRESH, 200, 502),
    _answered("no blank after the code", b"HTTP/1.1 200\r\n" + _FRESH, 200, 502),
    _answered("LF alone", (b"HTTP/1.1 200 OK\r\n" + _FRESH).replace(b"\r\n", b"\n"), 200, 502),
    _answered("a NUL in a field", b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\n" + _FRESH, 200, 502),
    _answered("a bare CR in a field", b"HTTP/1.1 200 OK\r\nX-A: a\rb\r\n" + _FRESH, 200, 502),
    _answered("a line without a colon", b"HTTP/1.1 200 OK\r\nfoo\r\n" + _FRESH, 200, 502),
    _answered("an empty field name", b"HTTP/1.1 200 OK\r\n: foo\r\n" + _FRESH, 200, 502),
    _answered("a status code of four digits", b"HTTP/1.1 2000 OK\r\n" + _FRESH, 502),
    _answered("status code 99", b"HTTP/1.1 099 OK\r\n" + _FRESH, 502),
    _answered("a head without an end", b"HTTP/1.1 200 OK\r\nX-A: 1\r\n", 502, 504),
    _answered("a head of 1 MB", b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 1_000_000 + b"\r\n\r\n", 502),
    _answered("ten thousand fields", b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 10_000 + b"\r\n", 502),
    _is_unstored(
        "length and chunks at once",
        _START + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n3\r\nabc\r\n",
    ),
    _is_unstored(
        "HTTP/1.0 with chunks",
        b"HTTP/1.0 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ),
    _is_unstored(
        "an unknown transfer coding",
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: foo, chunked\r\n\r\n3\r\nabc\r\n",
    ),
    _is_unstored(
        "chunked twice",
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked, chunked\r\n\r\n3\r\nabc\r\n",
    ),
    _is_unstored("a negative length", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: -1\r\n\r\nok"),
    allowed(
        "9112 6.3",
        "a list of equal lengths",
        get(
            asked=True,
            status=None,
            reply=Reply(pieces=(b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nCache-Control: max-age=60\r\n\r\nok",)),
        ),
        get(),
    ),
    required(
        "9112 6.3",
        "a 304 with a length and no content",
        get(asked=True, reply=Reply(200, ("Cache-Control: max-age=0", 'ETag: "a"'))),
        get(
            asked=True, content=0, reply=Reply(pieces=(b'HTTP/1.1 304 Not\r\nETag: "a"\r\nContent-Length: 6\r\n\r\n',))
        ),
        get(asked=True, content=0, reply=Reply(304, ('ETag: "a"', "Transfer-Encoding: chunked"))),
    ),
    required(
        "9110 7.6.3",
        "Via says how the response came",
        get(
            asked=True,
            reply=Reply(pieces=(b"HTTP/1.0 200 OK\r\n" + _FRESH,), is_closed=True),
            checks=(has("Via", "1.0 lab7"),),
        ),
        get(asked=False, checks=(has("Via", "1.0 lab7"),)),
    ),
    required(
        "9110 6.6.1",
        "Date is added to what is not stored",
        get(asked=True, reply=Reply(200, ("Cache-Control: no-store",), has_date=False), checks=(has("Date"),)),
    ),
    required(
        "9110 8.6",
        "HEAD with a length and no content",
        Step(method="HEAD", asked=True, reply=Reply(200, (HOUR,), b"x" * 100), checks=(has("Content-Length", "100"),)),
    ),
    required(
        "9110 15.3.5",
        "a stored 204 has no length",
        get(asked=True, status=204, reply=Reply(204, (HOUR,))),
        get(status=204, checks=(lacks("Content-Length", "Transfer-Encoding"),)),
    ),
    required(
        "9112 9.3",
        "an origin's connection that closes",
        get(asked=True, reply=Reply(200, ("Connection: close", HOUR), is_closed=True)),
        get("Cache-Control: no-cache", asked=True),
    ),
]


def _several(*statuses: int, contents: tuple[bytes, ...] = ()) -> Check:
    def check(outcome: Outcome) -> str | None:
        octets = outcome.got.start.encode() + b"\r\n" + outcome.got.content
        count = octets.count(b"HTTP/1.1 200")
        return None if count == len(statuses) and all(one in octets for one in contents) else f"{count} answers"

    return check


_GET = b"GET {name} HTTP/1.1\r\nHost: {authority}\r\n\r\n"
_POST = b"POST {name} HTTP/1.1\r\nHost: {authority}\r\n"
_LAST = b"GET {name} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"

REQUESTS = [
    allowed(
        "9112 9.3.2",
        "three in a row from storage",
        get(asked=True, reply=Reply(200, (HOUR,))),
        Step(raw=_GET + _GET + _LAST, asked=False, checks=(_several(200, 200, 200),)),
    ),
    required(
        "9112 9.3.2",
        "HEAD and GET in a row",
        get(asked=True, reply=Reply(200, (HOUR,))),
        Step(
            raw=_GET.replace(b"GET", b"HEAD") + _LAST, asked=False, checks=(_several(200, 200, contents=(b"step 0",)),)
        ),
    ),
    required(
        "9112 9.6",
        "HTTP/1.0 without Connection is closed",
        get(asked=True, reply=Reply(200, (HOUR,))),
        get(version="1.0", raw=b"GET {name} HTTP/1.0\r\nHost: {authority}\r\n\r\n", content=0),
    ),
    required(
        "9112 3.2",
        "HTTP/1.0 without Host",
        get(raw=b"GET {name} HTTP/1.0\r\n\r\n", status=None, checks=(status_in(200, 400),)),
    ),
    required(
        "9112 7.1",
        "HTTP/1.0 gets no chunks",
        get(
            version="1.0",
            asked=True,
            reply=Reply(pieces=(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",)),
            content=b"ok",
            checks=(lacks("Transfer-Encoding"),),
        ),
    ),
    required("9112 2.2", "an empty line before a request", get(raw=b"\r\n" + _LAST, asked=True)),
    required(
        "9112 2.3",
        "a version to come",
        get(raw=_LAST.replace(b"1.1", b"1.7"), status=None, checks=(status_in(200, 400, 505),)),
    ),
    required(
        "9112 6.1",
        "length and chunks in a request",
        get(
            raw=_POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
            status=None,
            checks=(status_in(200, 400),),
        ),
    ),
    required(
        "9112 6.1",
        "an unknown transfer coding in a request",
        get(
            raw=_POST + b"Transfer-Encoding: foo\r\nConnection: close\r\n\r\n",
            asked=False,
            status=None,
            checks=(status_in(400, 501),),
        ),
    ),
    required(
        "9112 5.1",
        "a blank before the colon in a request",
        get(raw=_LAST.replace(b"Host:", b"X-A : 1\r\nHost:"), asked=False, status=400),
    ),
    required(
        "9112 5.2",
        "a folded field in a request",
        get(raw=_LAST.replace(b"Host:", b"X-A: 1\r\n 2\r\nHost:"), status=None, checks=(status_in(200, 400),)),
    ),
    required(
        "9110 9.3.1",
        "GET with content is not answered from storage",
        get(asked=True, reply=Reply(200, (HOUR,))),
        Step(sent=b"abc", asked=True),
    ),
    required(
        "9110 9.3.1", "GET with content is not stored", Step(sent=b"abc", asked=True, reply=Reply(200, (HOUR,))), miss()
    ),
    required(
        "9112 3.2.4",
        "OPTIONS *",
        Step(raw=b"OPTIONS * HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n", status=None),
    ),
    required(
        "9110 9.3.6",
        "CONNECT to a reverse proxy",
        Step(
            raw=b"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n",
            asked=False,
            status=None,
            checks=(lambda o: f"status {o.got.status}" if o.got.status < 400 else None,),
        ),
    ),
    required(
        "9112 7.1",
        "chunks of a request",
        Step(
            raw=_POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            asked=True,
        ),
    ),
    required(
        "9110 5.5", "octets above ASCII in a field", get("X-A: caf\xe9", asked=True, checks=(sees("X-A", "caf\xe9"),))
    ),
    required("9112 5", "a field of 8000 octets", get("X-A: " + "a" * 8000, asked=True, checks=(sees("X-A"),))),
    required(
        "9110 5.3",
        "lines of one field keep their order",
        get(
            "X-A: 1",
            "X-B: 0",
            "X-A: 2",
            asked=True,
            checks=(lambda o: None if ", ".join(o.seen[0].values("X-A")) == "1, 2" else "not in order",),
        ),
    ),
]
PROBES = [*RESPONSES, *REQUESTS]
