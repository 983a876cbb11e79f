"""Forwarding: fields forwarded, stored and removed, and the target URI (RFC 9110 section 7, RFC 9111 section 3.1)."""

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
    status_in,
)

HOUR = "Cache-Control: max-age=3600"
FRESH = Reply(200, (HOUR,))


def _via(received: str, client: str) -> tuple[Probe, Probe]:
    """Expect Via with the protocol version received from the client (RFC 9110 section 7.6.3)."""
    own = f"{received} lab7"
    sent = "1.0 a, 1.1 b"

    def check(outcome: Outcome) -> str | None:
        values = outcome.seen[0].values("Via")
        return None if ", ".join(values) == f"{sent}, {own}" else f"the origin saw Via {values}"

    return (
        required(
            "9110 7.6.3",
            f"Via on both, {client}",
            first(HOUR, checks=(has("Via", "1.1 lab7"), sees("Via", own))),
            get(checks=(has("Via", "1.1 lab7"),)),
        ),
        required("9110 7.6.3", f"Via after Via, {client}", get(f"Via: {sent}", asked=True, checks=(check,))),
    )


OF_HTTP_1 = _via("1.1", "HTTP/1.1")
OF_HTTP_2 = _via("2", "HTTP/2")


def _kept(name: str, *lines: str) -> Probe:
    """Expect these lines of one field in the first response and in the one from storage."""
    field = lines[0].partition(":")[0]
    check = (has(field, *(line.partition(":")[2].strip() for line in lines)),)
    return required("9111 3.1", f"{name} is kept", first(HOUR, *lines, checks=check), get(asked=False, checks=check))


def _removed(name: str, *lines: str, gone: tuple[str, ...]) -> Probe:
    check = (lacks(*gone),)
    return required(
        "9110 7.6.1", f"{name} goes no further", first(HOUR, *lines, checks=check), get(asked=False, checks=check)
    )


def _not_sent(name: str, *lines: str, gone: tuple[str, ...]) -> Probe:
    return required(
        "9110 7.6.1", f"{name} does not come to the origin", get(*lines, asked=True, checks=(sees_no(*gone),))
    )


def _sent_on(name: str, line: str) -> Probe:
    field, _, value = line.partition(":")
    return required(
        "9110 5.1", f"{name} comes to the origin", get(line, asked=True, checks=(sees(field, value.strip()),))
    )


def _te_is_listed(outcome: Outcome) -> str | None:
    is_listed = "te" in ", ".join(outcome.seen[0].values("Connection")).lower()
    return None if is_listed or not outcome.seen[0].values("TE") else "TE is not listed in Connection"


FIELDS = [
    _kept("Set-Cookie", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2"),
    _kept(
        "Content-Security-Policy", "Content-Security-Policy: default-src 'self'", "Content-Security-Policy: img-src *"
    ),
    _kept("an unknown field", 'X-Unknown: a, b;c="d"'),
    _kept("an empty field", "X-Empty:"),
    _kept("a field of 6000 octets", "X-Long: " + "a" * 6000),
    _kept("a field of octets above ASCII", "X-Octets: caf\xe9 \xff"),
    _kept("Server", "Server: a/1 (b)"),
    _kept("Link", "Link: </a>; rel=preload", "Link: </b>"),
    _kept("Content-Encoding", "Content-Encoding: gzip"),
    _kept("Content-Language", "Content-Language: en"),
    _kept("Content-Location", "Content-Location: /a"),
    _kept("Content-Disposition", 'Content-Disposition: attachment; filename="a"'),
    _kept("Strict-Transport-Security", "Strict-Transport-Security: max-age=1"),
    _kept("Public-Key-Pins", "Public-Key-Pins: a"),
    _kept("Alt-Svc", 'Alt-Svc: h2=":1"'),
    _kept("Content-MD5", "Content-MD5: a"),
    _kept("WWW-Authenticate", 'WWW-Authenticate: Basic realm="a"'),
    _kept("Retry-After", "Retry-After: 10"),
    _kept("Allow", "Allow: GET"),
    _kept("Accept-Ranges", "Accept-Ranges: bytes"),
    _kept("Access-Control-Allow-Origin", "Access-Control-Allow-Origin: *"),
    _kept("X-Frame-Options", "X-Frame-Options: DENY"),
    _kept("Clear-Site-Data", 'Clear-Site-Data: "cache"'),
    _kept("Pragma", "Pragma: no-cache"),
    _kept("Expires", "Expires: 0"),
    _kept("Warning", 'Warning: 199 - "a"'),
    _kept("forty lines of one field", *(f"X-Many: {number}" for number in range(40))),
    _removed("a field that Connection lists", "Connection: X-A, x-b", "X-A: 1", "X-B: 2", gone=("X-A", "X-B")),
    _removed(
        "fields of two lines of Connection",
        "Connection: X-A",
        "Connection: X-B",
        "X-A: 1",
        "X-B: 2",
        gone=("X-A", "X-B"),
    ),
    _removed("Keep-Alive", "Keep-Alive: timeout=5", gone=("Keep-Alive",)),
    _removed("Proxy-Connection", "Proxy-Connection: keep-alive", gone=("Proxy-Connection",)),
    _removed("Upgrade", "Connection: Upgrade", "Upgrade: foo/1", gone=("Upgrade",)),
    _removed("TE", "TE: trailers", gone=("TE",)),
    required(
        "9111 3.1",
        "Proxy-Authenticate is not stored",
        first(HOUR, "Proxy-Authenticate: Basic realm=a"),
        get(checks=(lacks("Proxy-Authenticate"),)),
    ),
    required(
        "9111 3.1",
        "Proxy-Authentication-Info is not stored",
        first(HOUR, "Proxy-Authentication-Info: a=b"),
        get(checks=(lacks("Proxy-Authentication-Info"),)),
    ),
    required(
        "9110 7.6.1",
        "Connection lists Cache-Control",
        first("Connection: Cache-Control", "Cache-Control: no-store", "Last-Modified: {now-90000}"),
        miss(),
    ),
    _not_sent("a field that Connection lists", "Connection: close, X-A", "X-A: 1", gone=("X-A",)),
    _not_sent("Keep-Alive", "Keep-Alive: 300", gone=("Keep-Alive",)),
    _not_sent("Proxy-Connection", "Proxy-Connection: keep-alive", gone=("Proxy-Connection",)),
    required(
        "9110 10.1.4",
        "TE goes with Connection",
        get("Connection: close, TE", "TE: trailers", asked=True, checks=(_te_is_listed,)),
    ),
    _not_sent("Upgrade", "Connection: close, Upgrade", "Upgrade: foo/1", gone=("Upgrade",)),
    *(
        _sent_on(name, f"{name}: {value}")
        for name, value in (
            ("X-Unknown", "a, b"),
            ("Cookie", "a=1; b=2"),
            ("Authorization", "Basic YTpi"),
            ("User-Agent", "a/1"),
            ("Accept", "text/html;q=0.5"),
            ("Accept-Encoding", "gzip, br"),
            ("Referer", "http://a/"),
            ("Origin", "http://a"),
            ("Pragma", "no-cache"),
            ("If-Range", '"a"'),
            ("Max-Forwards", "5"),
            ("Forwarded", "for=a"),
        )
    ),
    *OF_HTTP_1,
    required("9110 7.6.3", "Via names HTTP/1.0", get(version="1.0", asked=True, checks=(sees("Via", "1.0 lab7"),))),
    required(
        "9110 7.6.2",
        "Max-Forwards of OPTIONS counts down",
        Step(("Max-Forwards: 5",), "OPTIONS", asked=True, checks=(sees("Max-Forwards", "4"),)),
    ),
    required(
        "9110 7.6.2",
        "Max-Forwards 0 of OPTIONS ends here",
        Step(("Max-Forwards: 0",), "OPTIONS", asked=False, status=None),
    ),
    required(
        "9110 7.6.2", "Max-Forwards 0 of TRACE ends here", Step(("Max-Forwards: 0",), "TRACE", asked=False, status=None)
    ),
    required(
        "9110 10.1.1", "Expect goes on or is answered", Step(("Expect: 100-continue",), "POST", sent=b"abc", asked=True)
    ),
    required(
        "9112 5.2",
        "a folded field is one line",
        get(
            asked=True,
            status=None,
            reply=Reply(pieces=(b"HTTP/1.1 200 OK\r\nX-F: a\r\n b\r\nContent-Length: 2\r\n\r\nok",)),
            checks=(status_in(200, 502),),
        ),
    ),
    required(
        "9112 5.1",
        "a blank before the colon is taken away",
        get(
            asked=True,
            status=None,
            reply=Reply(pieces=(b"HTTP/1.1 200 OK\r\nX-F : a\r\nContent-Length: 2\r\n\r\nok",)),
            checks=(status_in(200, 502),),
        ),
    ),
    required(
        "9112 2.2",
        "no reason phrase",
        get(asked=True, reply=Reply(pieces=(b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",)), content=b"ok"),
    ),
    required(
        "9110 15",
        "a status code of two digits is 502",
        get(
            asked=True,
            status=502,
            reply=Reply(pieces=(b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",), is_closed=True),
        ),
    ),
    required(
        "9110 15.6.5",
        "an end instead of an answer is an error",
        get(asked=True, status=None, reply=Reply(pieces=(b"",), is_closed=True), checks=(status_in(502, 504),)),
    ),
    required(
        "9112 3.2", "no Host", get(raw=b"GET {name} HTTP/1.1\r\nConnection: close\r\n\r\n", asked=False, status=400)
    ),
    required(
        "9112 3.2",
        "two of Host",
        get(raw=b"GET {name} HTTP/1.1\r\nHost: a\r\nHost: a\r\nConnection: close\r\n\r\n", asked=False, status=400),
    ),
]


def _target_seen(expected: str) -> Check:
    def check(outcome: Outcome) -> str | None:
        target = outcome.seen[0].start.split(" ")[1] if outcome.seen else ""
        return None if target.endswith(expected) and target.startswith("/") else f"the origin saw {target}"

    return check


def _one_uri(name: str, one: str, other: str, section: str = "9110 4.2.3") -> Probe:
    return allowed(section, name, get(target=one, asked=True, reply=FRESH), hit(target=other))


def _two_uris(name: str, one: str, other: str) -> Probe:
    return required("9111 4", name, get(target=one, asked=True, reply=FRESH), miss(target=other))


URIS = [
    _one_uri("escapes in other case", "{name}/%e4", "{name}/%E4"),
    _one_uri("an escape that need not be", "{name}/%7Ea", "{name}/~a"),
    _one_uri("absolute and origin form", "http://{authority}{name}", "{name}"),
    _one_uri("origin and absolute form", "{name}", "http://{authority}{name}"),
    _one_uri("a scheme in other case", "HTTP://{authority}{name}", "{name}"),
    _two_uris("another query", "{name}?a=1", "{name}?a=2"),
    _two_uris("another order of a query", "{name}?a&b", "{name}?b&a"),
    _two_uris("an empty query and none", "{name}?", "{name}"),
    _two_uris("a path in other case", "{name}/a", "{name}/A"),
    _two_uris("a slash at the end", "{name}", "{name}/"),
    _two_uris("two slashes", "{name}//a", "{name}/a"),
    _two_uris("an escaped slash", "{name}/a%2Fb", "{name}/a/b"),
    _two_uris("an escaped question mark", "{name}%3Fa", "{name}?a"),
    _two_uris("a plus and a blank", "{name}?a+b", "{name}?a%20b"),
    _two_uris("parameters of a path", "{name};a", "{name};b"),
    _two_uris("a fragment-like escape", "{name}%23a", "{name}"),
    _two_uris("another host in absolute form", "http://a.example{name}", "http://b.example{name}"),
    _two_uris("another port in absolute form", "http://a.example:81{name}", "http://a.example:82{name}"),
    required("9110 7.1", "another Host", get(host="a.example", asked=True, reply=FRESH), miss(host="b.example")),
    required(
        "9110 7.1", "another port in Host", get(host="a.example:81", asked=True, reply=FRESH), miss(host="a.example")
    ),
    allowed("9110 4.2.3", "Host in other case", get(host="A.Example", asked=True, reply=FRESH), hit(host="a.eXample")),
    allowed(
        "9110 4.2.3",
        "Host with the default port",
        get(host="a.example:80", asked=True, reply=FRESH),
        hit(host="a.example"),
    ),
    allowed(
        "9110 4.2.3",
        "Host with an empty port",
        get(host="a.example:", asked=True, status=None, reply=FRESH),
        get(host="a.example", status=None),
    ),
    required(
        "9112 3.2.2",
        "absolute form is above Host",
        get(target="http://a.example{name}", host="b.example", asked=True, reply=FRESH),
        miss(host="b.example"),
        hit(host="a.example"),
    ),
    required(
        "9112 3.2.1",
        "the origin sees origin form",
        get(target="http://{authority}{name}?a", asked=True, checks=(_target_seen("?a"),)),
    ),
    required(
        "9110 4.1",
        "a target of 8000 octets",
        get(target="{name}?" + "a" * 7900, asked=True, reply=FRESH),
        hit(target="{name}?" + "a" * 7900),
        miss(target="{name}?" + "a" * 7899),
    ),
    required(
        "9110 4.2.3",
        "escapes go on as they are in the key",
        get(target="{name}/%7Ea%2f%E4?%41", asked=True, checks=(_target_seen("/~a%2F%E4?A"),)),
    ),
    required("9110 4.2.1", "dots go on as they are or as a path without", get(target="{name}/b/../a", status=None)),
    required("9112 3.2", "a fragment in a target", get(target="{name}#a", asked=None, status=None)),
    required(
        "9110 4.2.4",
        "userinfo in absolute form",
        get(target="http://u:p@{authority}{name}", status=None, checks=(sees_no("Authorization"),)),
    ),
    required("9112 3.2", "an odd octet in a target", get(target="{name}/\xe9", status=None)),
    *(
        required("9112 3.2", f"odd target {target}", get(target=target, asked=None, status=None))
        for target in ("{name}\\a", "{name}|a", "{name}^", '{name}"', "{name}%", "{name}%zz", "{name}[]")
    ),
]

PROBES = [*FIELDS, *URIS]
