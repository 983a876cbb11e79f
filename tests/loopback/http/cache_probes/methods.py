"""Methods: HEAD and GET, cacheable POST, and invalidation (RFC 9111 sections 2, 4.3.5 and 4.4)."""

from tests.loopback.http.cache_probes.probing import (
    Probe,
    Reply,
    Step,
    age,
    allowed,
    first,
    get,
    has,
    hit,
    miss,
    required,
)

HOUR = "Cache-Control: max-age=3600"
TAGGED = (HOUR, 'ETag: "a"')
PAST = ("Cache-Control: max-age=1", "Age: 5")


def _sent(method: str, *fields: str, status: int = 200, **rest: object) -> Step:
    return Step(method=method, asked=True, status=status, reply=Reply(status, fields), **rest)  # type: ignore[arg-type]


def _head(
    *fields: str, asked: bool = True, request: tuple[str, ...] = (), content: bytes = b"step 0", status: int = 200
) -> Step:
    return Step(fields=request, method="HEAD", asked=asked, status=status, reply=Reply(status, fields, content))


NO_CACHE = ("Cache-Control: no-cache",)

HEAD = [
    allowed(
        "9110 9.3.2",
        "HEAD from a stored GET",
        first(*TAGGED, "X-A: 1"),
        Step(
            method="HEAD",
            asked=False,
            checks=(has("X-A", "1"), has("Content-Length", "6"), has("ETag", '"a"'), age(0, 4)),
        ),
    ),
    allowed("9110 9.3.2", "HEAD from a stored HEAD", _head(*TAGGED), Step(method="HEAD", asked=False)),
    required("9110 9.3.2", "GET is not answered from a HEAD", _head(*TAGGED), miss()),
    required(
        "9110 9.3.2",
        "GET after a stale GET and a HEAD has content",
        first(*PAST, 'ETag: "a"'),
        _head(*TAGGED),
        get(content=None),
    ),
    allowed(
        "9111 4.3.5",
        "HEAD freshens",
        first(*PAST, 'ETag: "a"', "X-A: 1", "X-B: 1"),
        _head(*TAGGED, "X-A: 2", "X-C: 3"),
        hit(checks=(has("X-A", "2"), has("X-B", "1"), has("X-C", "3"))),
    ),
    allowed("9111 4.3.5", "HEAD freshens what has no validator", first(*PAST), _head(HOUR), hit()),
    required(
        "9111 4.3.5", "HEAD with another ETag", first(*TAGGED), _head(HOUR, 'ETag: "b"', request=NO_CACHE), miss()
    ),
    required(
        "9111 4.3.5",
        "HEAD with another length",
        first(HOUR),
        _head(HOUR, request=NO_CACHE, content=b"longer than it"),
        miss(),
    ),
    required(
        "9111 4.3.5",
        "HEAD with another Last-Modified",
        first(HOUR, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"),
        _head(HOUR, "Last-Modified: Mon, 07 Nov 1994 08:49:37 GMT", request=NO_CACHE),
        miss(),
    ),
    required(
        "9111 4.3.5",
        "HEAD does not change the stored length",
        first(*PAST, 'ETag: "a"'),
        Step(method="HEAD", asked=True, reply=Reply(200, (*TAGGED,), has_length=False)),
        get(content=0, checks=(has("Content-Length", "6"),)),
    ),
    allowed(
        "9111 4.3.5",
        "HEAD that fails with 500 changes nothing",
        first(*TAGGED),
        _head(status=500, request=NO_CACHE),
        hit(),
    ),
    required(
        "9110 9.3.2",
        "HEAD goes on as HEAD",
        Step(method="HEAD", asked=True, reply=Reply(fields=(HOUR,)), checks=(has("Content-Length", "6"),)),
    ),
    required("9110 9.3.2", "HEAD of a stale GET", first(*PAST), Step(method="HEAD", asked=True)),
]

UNSAFE = ("POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "MKCOL", "COPY", "FOO", "post", "PROPPATCH", "UNLINK")
SAFE = ("OPTIONS", "PROPFIND", "REPORT", "SEARCH")
DONE = (200, 201, 202, 204, 205, 299, 301, 303, 307, 399)
FAILED = (400, 403, 404, 409, 412, 499, 500, 503, 599)


def _other(name: str, method: str, *fields: str, is_gone: bool, status: int = 201) -> Probe:
    aside = "{name}/aside?a=1"
    steps = (first(HOUR, target=aside), hit(target=aside), _sent(method, *fields, status=status))
    if is_gone:
        return allowed("9111 4.4", name, *steps, miss(target=aside))
    return allowed("9111 4.4", name, *steps, hit(target=aside))


INVALIDATION = [
    *(required("9111 4.4", f"{method} invalidates", first(HOUR), hit(), _sent(method), miss()) for method in UNSAFE),
    *(
        required("9111 4.4", f"{code} invalidates", first(HOUR), hit(), _sent("POST", status=code), miss())
        for code in DONE
    ),
    *(allowed("9111 4.4", f"{method} does not", first(HOUR), _sent(method), hit()) for method in SAFE),
    *(allowed("9111 4.4", f"{code} does not", first(HOUR), _sent("DELETE", status=code), hit()) for code in FAILED),
    required(
        "9111 4.4",
        "all variants",
        get("X-A: 1", asked=True, reply=Reply(fields=(HOUR, "Vary: X-A"))),
        get("X-A: 2", asked=True, reply=Reply(fields=(HOUR, "Vary: X-A"))),
        _sent("PUT", status=204, sent=b"x"),
        miss("X-A: 1"),
        miss("X-A: 2"),
    ),
    allowed("9111 4.4", "another query stays", first(HOUR, target="{name}?a"), _sent("POST"), hit(target="{name}?a")),
    _other("Location relative", "POST", "Location: {name}/aside?a=1", is_gone=True),
    _other("Location absolute", "POST", "Location: http://{authority}{name}/aside?a=1", is_gone=True),
    _other("Location with a fragment", "POST", "Location: {name}/aside?a=1#b", is_gone=True),
    _other("Location network-path", "POST", "Location: //{authority}{name}/aside?a=1", is_gone=True),
    _other("Content-Location relative", "PUT", "Content-Location: {name}/aside?a=1", is_gone=True),
    _other("Content-Location absolute", "DELETE", "Content-Location: http://{authority}{name}/aside?a=1", is_gone=True),
    _other("Location of a failure", "POST", "Location: {name}/aside?a=1", is_gone=False, status=500),
    _other("Location of a secured origin", "POST", "Location: https://{authority}{name}/aside?a=1", is_gone=False),
    required(
        "9111 4.4",
        "Location of another origin",
        first(HOUR, host="other.example"),
        _sent(
            "POST", "Location: http://other.example{name}", "Content-Location: http://other.example{name}", status=201
        ),
        hit(host="other.example"),
    ),
    required(
        "9111 4.4",
        "Location of another port",
        first(HOUR, host="other.example:81"),
        _sent("POST", "Location: http://other.example:81{name}", status=201, host="other.example"),
        hit(host="other.example:81"),
    ),
    required(
        "9111 4.4",
        "what was invalidated is not served stale",
        first("Cache-Control: max-age=3600, stale-if-error=3600, stale-while-revalidate=3600"),
        _sent("POST"),
        get(asked=True, status=503, reply=Reply(503)),
    ),
    required(
        "9110 9.3.7",
        "GET of Location in a bad form",
        first(HOUR),
        _sent("POST", "Location: http://[bad", status=201),
        miss(),
    ),
]

LOCATED = (HOUR, "Content-Location: {name}")

POST = [
    required("9111 4", "POST is written through", _sent("POST", *LOCATED), _sent("POST", *LOCATED)),
    required("9111 4", "POST is written through a fresh GET", first(HOUR), _sent("POST", *LOCATED)),
    allowed("9110 9.3.3", "POST with freshness and Content-Location", _sent("POST", *LOCATED, sent=b"x"), hit()),
    allowed(
        "9110 9.3.3",
        "the same with an absolute Content-Location",
        _sent("POST", HOUR, "Content-Location: http://{authority}{name}"),
        hit(),
    ),
    allowed("9110 9.3.3", "HEAD from such a POST", _sent("POST", *LOCATED), Step(method="HEAD", asked=False)),
    required("9110 9.3.3", "POST without Content-Location", _sent("POST", HOUR), miss()),
    required(
        "9110 9.3.3", "POST with another Content-Location", _sent("POST", HOUR, "Content-Location: {name}/b"), miss()
    ),
    required(
        "9110 9.3.3",
        "POST without freshness",
        _sent("POST", "Content-Location: {name}", "Last-Modified: {now-100000}"),
        miss(),
    ),
    required(
        "9110 9.3.3",
        "POST with no-store",
        _sent("POST", "Cache-Control: no-store, max-age=60", "Content-Location: {name}"),
        miss(),
    ),
    required("9110 9.3.4", "PUT is not stored", _sent("PUT", *LOCATED), miss()),
    required("9110 9.3.5", "DELETE is not stored", _sent("DELETE", *LOCATED), miss()),
    required("9110 9.3.7", "OPTIONS is not stored", _sent("OPTIONS", *LOCATED), _sent("OPTIONS", *LOCATED), miss()),
    required("9111 3", "an unknown method is not stored", _sent("FOO", *LOCATED), _sent("FOO", *LOCATED), miss()),
    required("9110 9.1", "get is not GET", first(HOUR), Step(method="get", asked=True)),
]

PROBES = [*HEAD, *INVALIDATION, *POST]
