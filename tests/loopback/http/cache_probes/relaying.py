"""Relaying: fields of one hop, interim responses, trailers, white space before colons, Max-Forwards (RFC 9110, 9112).

What is for one hop alone goes no further in any section of any message: in a final response, relayed, stored or
freshened, in an interim response, and in trailers. The other fields go on.
"""

from tests.loopback.http.cache_probes.probing import (
    Check,
    Outcome,
    Probe,
    Reply,
    Step,
    allowed,
    first,
    get,
    has,
    hit,
    lacks,
    miss,
    required,
    sees,
    sees_no,
)

HOUR = "Cache-Control: max-age=3600"
# RFC 9110 sections 7.6.1 and 11.7: fields between two neighbours, and one that the message itself declares so.
ONE_HOP = {
    "Keep-Alive": ("Keep-Alive: timeout=5",),
    "Proxy-Connection": ("Proxy-Connection: keep-alive",),
    "TE": ("TE: trailers",),
    "Upgrade": ("Connection: Upgrade", "Upgrade: foo/1"),
    "HTTP2-Settings": ("HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",),
    "Proxy-Authenticate": ("Proxy-Authenticate: Basic",),
    "Proxy-Authentication-Info": ("Proxy-Authentication-Info: a=b",),
    "X-Hop": ("Connection: x-hop", "X-Hop: 1"),
    "X-Last": ("Connection: a, b", "Connection: close, X-LAST", "X-Last: 1"),
}
# RFC 9110 section 6.5.1: fields of framing, routing, authentication, or of how the message is handled.
NO_TRAILERS = (
    "Age",
    "Authorization",
    "Cache-Control",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Date",
    "Expires",
    "Host",
    "Keep-Alive",
    "Location",
    "Max-Forwards",
    "Proxy-Authenticate",
    "Range",
    "Retry-After",
    "Set-Cookie",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Vary",
    "Via",
    "WWW-Authenticate",
)


def _interim_has(name: str, *values: str) -> Check:
    def check(outcome: Outcome) -> str | None:
        found = [value for message in outcome.got.interim for value in message.values(name)]
        return None if found == list(values) else f"{name} of interim responses is {found}"

    return check


def _trailers(*expected: tuple[str, str]) -> Check:
    def check(outcome: Outcome) -> str | None:
        found = [(name.lower(), value) for name, value in outcome.got.trailers]
        return None if found == list(expected) else f"trailers {found}"

    return check


def _sees_trailer(name: str, value: str | None) -> Check:
    def check(outcome: Outcome) -> str | None:
        line = f"\r\n{name}: {value}".lower() if value else f"\r\n{name}:".lower()
        is_there = line in outcome.seen[0].content.decode("latin-1").lower()
        return None if is_there == bool(value) else f"the origin saw {outcome.seen[0].content!r}"

    return check


def _head(status: int, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} Reason", *lines, "", ""]).encode("latin-1")


def _chunked(*trailers: str) -> Reply:
    content = b"2\r\nok\r\n0\r\n" + "".join(f"{line}\r\n" for line in trailers).encode("latin-1") + b"\r\n"
    return Reply(pieces=(_head(200, HOUR, "Transfer-Encoding: chunked") + content,))


def _literal(*lines: str, content: bytes = b"ok") -> Step:
    return get(asked=True, content=b"ok", reply=Reply(pieces=(_head(200, *lines) + content,)))


FINAL = [
    probe
    for name, lines in ONE_HOP.items()
    for probe in (
        required(
            "9110 7.6.1",
            f"{name} of 404 goes no further, at once and from storage",
            first(HOUR, *lines, status=404, checks=(lacks(name),)),
            get(asked=False, status=404, checks=(lacks(name),)),
        ),
        required(
            "9110 7.6.1",
            f"{name} of a response that is not stored goes no further",
            first("Cache-Control: no-store", *lines, checks=(lacks(name),)),
        ),
        required(
            "9110 7.6.1",
            f"{name} of a response to HEAD goes no further",
            Step(method="HEAD", asked=True, reply=Reply(200, (HOUR, *lines)), checks=(lacks(name),)),
        ),
        required(
            "9110 7.6.1",
            f"{name} of a response to POST goes no further",
            Step(method="POST", sent=b"a", asked=True, reply=Reply(200, lines), checks=(lacks(name),)),
        ),
        required(
            "9111 3.2",
            f"{name} of a 304 does not come into what is stored",
            first("Cache-Control: max-age=0", 'ETag: "a"'),
            get(asked=True, reply=Reply(304, (HOUR, 'ETag: "a"', *lines)), content=0, checks=(lacks(name),)),
            hit(checks=(lacks(name),)),
        ),
    )
]
INTERIM = [
    required(
        "9110 7.6.1",
        f"{name} of {status} goes no further, Link does",
        get(
            asked=True,
            content=b"ok",
            reply=Reply(
                pieces=(_head(status, "Link: </a>", *lines), 0.05, _head(200, HOUR, "Content-Length: 2") + b"ok")
            ),
            checks=(_interim_has(name), _interim_has("Link", "</a>"), _interim_has("Connection")),
        ),
    )
    for status in (102, 103, 199)
    for name, lines in ONE_HOP.items()
]
INTERIM += [
    required(
        "9110 7.6.3",
        f"Via in {status}",
        get(
            asked=True,
            content=b"ok",
            reply=Reply(pieces=(_head(status, "Via: 1.1 a"), 0.05, _head(200, HOUR, "Content-Length: 2") + b"ok")),
            checks=(_interim_has("Via", "1.1 a", "1.1 lab7"),),
        ),
    )
    for status in (102, 103, 199)
]
INTERIM += [
    required(
        "9110 8.6",
        f"{line.partition(':')[0]} of 103 goes no further",
        get(
            asked=True,
            content=b"ok",
            reply=Reply(pieces=(_head(103, line), 0.05, _head(200, HOUR, "Content-Length: 2") + b"ok")),
            checks=(_interim_has(line.partition(":")[0]),),
        ),
    )
    for line in ("Content-Length: 5", "Transfer-Encoding: chunked")
]
INTERIM += [
    required(
        "8297 2",
        "103 before a 404, an error and a redirection",
        *(
            get(
                asked=True,
                status=status,
                reply=Reply(
                    pieces=(
                        _head(103, "Link: </a>"),
                        0.05,
                        _head(status, "Cache-Control: no-store", "Content-Length: 0"),
                    )
                ),
                checks=(_interim_has("Link", "</a>"),),
            )
            for status in (404, 500, 302)
        ),
    ),
    required(
        "9111 3",
        "103 is not stored, and not sent again",
        get(
            asked=True,
            reply=Reply(pieces=(_head(103, "Link: </a>"), 0.05, _head(200, HOUR, "Content-Length: 6") + b"step 0")),
        ),
        hit(checks=(_interim_has("Link"), lacks("Link"))),
    ),
    required(
        "9110 15.2",
        "103 to a validation",
        first("Cache-Control: max-age=0", 'ETag: "a"'),
        get(
            asked=True,
            content=0,
            reply=Reply(pieces=(_head(103, "Link: </a>"), 0.05, _head(304, HOUR, 'ETag: "a"'))),
            checks=(_interim_has("Link", "</a>"),),
        ),
    ),
    required(
        "9110 15.2",
        "103 to POST with content",
        Step(
            method="POST",
            sent=b"abc",
            asked=True,
            content=b"ok",
            reply=Reply(pieces=(_head(103, "Link: </a>"), 0.05, _head(200, "Content-Length: 2") + b"ok")),
            checks=(_interim_has("Link", "</a>"),),
        ),
    ),
    required(
        "9110 10.1.1",
        "one 100 to a client that waits for it",
        Step(
            ("Expect: 100-continue",),
            "POST",
            sent=b"abc",
            asked=True,
            content=b"ok",
            reply=Reply(pieces=(_head(100), 0.05, _head(200, "Content-Length: 2") + b"ok")),
            checks=(lambda outcome: None if len(outcome.got.interim) == 1 else f"{outcome.got.interim}",),
        ),
    ),
]
TRAILERS = [
    required(
        "9110 6.5.1",
        f"a trailer {name} goes no further",
        get(
            asked=True,
            content=b"ok",
            reply=_chunked("X-A: 1", f"{name}: 1", "X-B: 2"),
            checks=(_trailers(("x-a", "1"), ("x-b", "2")),),
        ),
    )
    for name in NO_TRAILERS
]
TRAILERS += [
    allowed(
        "9110 6.5",
        f"trailers go on: {' '.join(lines)}",
        get(
            asked=True,
            content=b"ok",
            reply=_chunked(*lines),
            checks=(
                _trailers(*((n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines))),
                lacks("X-A"),
            ),
        ),
    )
    for lines in (
        ("X-A: 1",),
        ("X-A: 1", "X-A: 2"),
        ("X-A:",),
        ("x-a:  b c ",),
        ("X-A: \xe9",),
        ('ETag: "a"', "X-A: 1"),
    )
]
TRAILERS += [
    required(
        "9111 3.1",
        "trailers are not stored with the fields",
        get(asked=True, reply=_chunked("X-A: 1"), content=b"ok"),
        get(asked=False, content=b"ok", checks=(lacks("X-A", "Trailer"), _trailers())),
    ),
    required(
        "9110 6.5",
        "no trailers of HEAD",
        Step(
            method="HEAD",
            asked=True,
            reply=Reply(pieces=(_head(200, HOUR, "Transfer-Encoding: chunked"),)),
            checks=(_trailers(),),
        ),
    ),
]
SPACES = [
    required(
        "9112 5.1", f"white space before a colon of a response: {line!r}", _literal(line, HOUR, "Content-Length: 2")
    )
    for line in ("X-A : 1", "X-A\t: 1", "X-A  \t : 1")
]
SPACES += [
    required(
        "9112 5.1",
        "white space before a colon is taken away",
        get(
            asked=True,
            content=b"ok",
            reply=Reply(pieces=(_head(200, "X-A : a : b", HOUR, "Content-Length: 2") + b"ok",)),
            checks=(has("X-A", "a : b"),),
        ),
        get(asked=False, content=b"ok", checks=(has("X-A", "a : b"),)),
    ),
    required("9112 5.1", "white space before the colon of Content-Length", _literal("Content-Length : 2")),
    required(
        "9112 5.1",
        "white space before the colon of Transfer-Encoding",
        _literal("Transfer-Encoding : chunked", content=b"2\r\nok\r\n0\r\n\r\n"),
    ),
    required(
        "9112 6.3",
        "white space before the colon hides no second length",
        get(
            asked=True,
            status=502,
            reply=Reply(
                pieces=(_head(200, "Transfer-Encoding : chunked", "Content-Length: 2") + b"2\r\nok\r\n0\r\n\r\n",),
                is_closed=True,
            ),
        ),
    ),
    required(
        "9112 5.1",
        "white space before the colon of Cache-Control",
        _literal("Cache-Control : no-store", "Content-Length: 2"),
        miss(),
    ),
    required(
        "9112 5.1",
        "a space in a field name is no white space before a colon",
        get(
            asked=True,
            status=502,
            reply=Reply(pieces=(_head(200, "X A: 1", "Content-Length: 2") + b"ok",), is_closed=True),
        ),
    ),
]


def _forwards(method: str, value: str, expected: str | None) -> Probe:
    label = f"Max-Forwards of {method}: {value} becomes {expected}"
    checks = (sees("Max-Forwards", expected),) if expected else ()
    return required("9110 7.6.2", label, Step((f"Max-Forwards: {value}",), method, asked=bool(expected), checks=checks))


FORWARDS = [
    _forwards("OPTIONS", "1", "0"),
    _forwards("OPTIONS", "10", "9"),
    _forwards("OPTIONS", "00000000005", "4"),
    _forwards("OPTIONS", "000000000000000000001", "0"),
    _forwards("OPTIONS", "0000000000000", None),
    _forwards("OPTIONS", "a", "a"),
    _forwards("OPTIONS", "-1", "-1"),
    _forwards("OPTIONS", "1.5", "1.5"),
    _forwards("OPTIONS", "5, 6", "5, 6"),
    _forwards("TRACE", "2", "1"),
    _forwards("TRACE", "0", None),
    _forwards("GET", "0", "0"),
    _forwards("GET", "5", "5"),
    _forwards("POST", "0", "0"),
    _forwards("DELETE", "3", "3"),
]
# A representation without octets: a suffix range is satisfiable, and no Content-Range can express it (9110 14.1.2).
EMPTY = [
    required(
        "9110 14.1.2",
        f"Range: {value} of nothing is the whole",
        first(HOUR, 'ETag: "a"', reply=Reply(200, (HOUR, 'ETag: "a"'), content=b"")),
        get(f"Range: {value}", asked=False, content=b"", checks=(lacks("Content-Range"),)),
    )
    for value in (
        "bytes=-1",
        "bytes=-5",
        "bytes=-0",
        "bytes=0-",
        "bytes=0-0",
        "bytes=5-9",
        "bytes=0-,-1",
        "bytes=-1,5-",
    )
]


def _content_of_request(name: str, *lines: str, method: str = "POST", sent: bytes = b"abc", check: Check) -> Probe:
    return required("9112 6", name, Step(lines, method, sent=sent, asked=True, checks=(check,)))


REQUESTS = [
    _content_of_request(
        f"{method} with {octets} octets has their number",
        method=method,
        sent=b"a" * octets,
        check=sees("Content-Length", str(octets)),
    )
    for method in ("POST", "PUT", "PATCH", "DELETE", "REPORT", "FOO")
    for octets in (1, 3, 60_000)
]
REQUESTS += [
    required(
        "9110 8.6",
        f"{method} without content says so",
        Step(method=method, asked=True, checks=(sees("Content-Length", "0"),)),
    )
    for method in ("POST", "PUT", "PATCH")
]
REQUESTS += [
    required(
        "9110 8.6",
        f"{method} without content says nothing",
        Step(method=method, asked=True, checks=(sees_no("Content-Length", "Transfer-Encoding"),)),
    )
    for method in ("GET", "HEAD", "DELETE", "OPTIONS", "FOO")
]
_CHUNKED = (
    b"POST {name} HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    b"3\r\nabc\r\n0\r\n"
)
REQUESTS += [
    required(
        "9110 6.5.1",
        f"a request's trailer {name} goes no further",
        Step(
            raw=_CHUNKED + f"X-A: 1\r\n{name}: 1\r\n\r\n".encode(),
            asked=True,
            checks=(_sees_trailer("X-A", "1"), _sees_trailer(name, None)),
        ),
    )
    for name in (*NO_TRAILERS, "Cookie", "Expect", "Proxy-Authorization")
]
PROBES = [*FINAL, *INTERIM, *TRAILERS, *SPACES, *FORWARDS, *EMPTY, *REQUESTS]
