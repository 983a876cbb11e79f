"""Status codes: which may be stored with and without a lifetime (RFC 9111 section 3, RFC 9110 section 15), and 1xx."""

from tests.loopback.http.cache_probes.probing import (
    Outcome,
    Probe,
    Reply,
    allowed,
    asked_again,
    first,
    get,
    hit,
    miss,
    required,
    reused,
)

OLD = "Last-Modified: {now-100000}"
HEURISTIC = (200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501)
OTHERS = (
    *(201, 202, 207, 208, 226, 299, 302, 303, 305, 307, 399),
    *(400, 401, 402, 403, 406, 408, 409, 411, 412, 413, 415, 416, 417, 418, 421, 422, 424, 425, 426, 451, 499),
    *(500, 502, 503, 504, 505, 506, 507, 508, 599),
)
# RFC 6585 sections 3 to 6 forbid it.
NEVER_STORED = (428, 429, 431, 511)


def _explicit(code: int) -> Probe:
    return reused("9111 3", f"{code} with max-age", "Cache-Control: max-age=60", "Location: {name}/x", status=code)


UNDERSTOOD = (200, 203, 204, 301, 302, 307, 308, 404, 410)

CODES = [
    *(reused("9110 15.1", f"{code} by heuristics", OLD, status=code) for code in HEURISTIC),
    *(asked_again("9110 15.1", f"{code} by heuristics", OLD, status=code) for code in OTHERS),
    *(_explicit(code) for code in (*HEURISTIC, *OTHERS)),
    *(asked_again("6585", f"{code} with max-age", "Cache-Control: max-age=60", status=code) for code in NEVER_STORED),
    *(
        reused("9111 5.2.2.9", f"{code} with public", "Cache-Control: public", OLD, status=code)
        for code in (201, 403, 599)
    ),
    *(reused("9111 3", f"{code} with Expires", "Expires: {now+60}", status=code) for code in (302, 503, 299)),
    *(
        reused(
            "9111 5.2.2.3",
            f"{code} with must-understand",
            "Cache-Control: must-understand, no-store, max-age=60",
            status=code,
        )
        for code in UNDERSTOOD
    ),
    *(
        asked_again(
            "9111 5.2.2.3", f"{code} with must-understand", "Cache-Control: must-understand, max-age=60", status=code
        )
        for code in (299, 399, 499, 599)
    ),
    asked_again("9111 5.2.2.3", "599 with both", "Cache-Control: must-understand, no-store, max-age=60", status=599),
    required("9111 3", "no-store on 404", first("Cache-Control: no-store", OLD, status=404), miss()),
    required("9111 3", "no-store on 301", first("Cache-Control: no-store", "Location: /", status=301), miss()),
    required(
        "9110 15.3.7",
        "a 206 is not used as the whole",
        get(
            "Range: bytes=0-3",
            status=206,
            reply=Reply(206, ("Cache-Control: max-age=60", 'ETag: "a"', "Content-Range: bytes 0-3/8"), b"abcd"),
        ),
        miss(),
    ),
]

_FINAL = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok"


def _interim(*expected: tuple[int, str]) -> tuple[object, ...]:
    def check(outcome: Outcome) -> str | None:
        came = [(message.status, "".join(message.values("Link"))) for message in outcome.got.interim]
        return None if came == list(expected) else f"interim responses {came}"

    return (check,)


def _informed(name: str, octets: bytes, *expected: tuple[int, str], **rest: object) -> Probe:
    return required(
        "9110 15.2",
        name,
        get(asked=True, reply=Reply(pieces=(octets + _FINAL,)), content=b"ok", checks=_interim(*expected), **rest),
    )


_EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </%s>\r\n\r\n"

INTERIM = [
    _informed("103 passes", _EARLY % b"a", (103, "</a>")),
    _informed("two of 103 pass in order", _EARLY % b"a" + _EARLY % b"b", (103, "</a>"), (103, "</b>")),
    _informed("102 passes", b"HTTP/1.1 102 Processing\r\n\r\n", (102, "")),
    _informed("199 passes", b"HTTP/1.1 199 What\r\nLink: <c>\r\n\r\n", (199, "<c>")),
    _informed("100 passes", b"HTTP/1.1 100 Continue\r\n\r\n", (100, "")),
    _informed("103 does not go to HTTP/1.0", _EARLY % b"a", version="1.0"),
    _informed(
        "100, 103 and 102",
        b"HTTP/1.1 100 Continue\r\n\r\n" + _EARLY % b"a" + b"HTTP/1.1 102 P\r\n\r\n",
        (100, ""),
        (103, "</a>"),
        (102, ""),
    ),
    required(
        "8297 2",
        "fields of 103 are not the final response's",
        get(
            asked=True,
            reply=Reply(pieces=(_EARLY % b"a" + _FINAL,)),
            checks=(lambda o: "Link" if o.got.values("Link") else None,),
        ),
        get(content=b"ok", checks=(lambda o: "Link" if o.got.values("Link") else None,)),
    ),
    allowed(
        "9111 3",
        "what follows a 103 is stored",
        get(asked=True, reply=Reply(pieces=(_EARLY % b"a" + _FINAL,))),
        hit(of=b"ok"),
    ),
]

PROBES = [*CODES, *INTERIM]
