"""Conditional requests of the client and of the cache, and freshening by 304 (RFC 9111 section 4.3)."""

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
PAST = ("Cache-Control: max-age=1", "Age: 5")
MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER = "Sat, 05 Nov 1994 08:49:37 GMT"
LATER = "Mon, 07 Nov 1994 08:49:37 GMT"
STORED = (HOUR, 'ETag: "a"', f"Last-Modified: {MODIFIED}", "Vary: X-V", "Content-Location: /c", "Expires: {now+60}")


def _matches(name: str, *fields: str, stored: tuple[str, ...] = STORED, **rest: object) -> Probe:
    return required("9111 4.3.2", f"304 for {name}", first(*stored), get(*fields, asked=False, status=304, **rest))


def _differs(name: str, *fields: str, stored: tuple[str, ...] = STORED) -> Probe:
    return required("9111 4.3.2", f"200 for {name}", first(*stored), hit(*fields))


FRESH = [
    _matches(
        "its entity tag",
        'If-None-Match: "a"',
        checks=(
            *(has(name) for name in ("Cache-Control", "Content-Location", "Date", "ETag", "Expires", "Vary", "Age")),
            lacks("Content-Type"),
        ),
    ),
    _matches("its tag as a weak one", 'If-None-Match: W/"a"'),
    _matches("its tag in a list", 'If-None-Match: "b", "a", "c"'),
    _matches("its tag in a list without blanks", 'If-None-Match: "b","a"'),
    _matches("its tag on a second line", 'If-None-Match: "b"', 'If-None-Match: "a"'),
    _matches("its tag among empty members", 'If-None-Match: , "a",,'),
    _matches("*", "If-None-Match: *"),
    _matches("a weak stored tag", 'If-None-Match: "a"', stored=(HOUR, 'ETag: W/"a"')),
    _matches("a weak tag for a weak one", 'If-None-Match: W/"a"', stored=(HOUR, 'ETag: W/"a"')),
    _matches("a tag with a comma", 'If-None-Match: "x", "a,b"', stored=(HOUR, 'ETag: "a,b"')),
    _matches("a tag with a backslash", 'If-None-Match: "a\\"', stored=(HOUR, 'ETag: "a\\"')),
    _matches("an empty tag", 'If-None-Match: ""', stored=(HOUR, 'ETag: ""')),
    _matches("a tag of octets above ASCII", 'If-None-Match: "\xe9"', stored=(HOUR, 'ETag: "\xe9"')),
    _matches("its date", f"If-Modified-Since: {MODIFIED}"),
    _matches("a later date", f"If-Modified-Since: {LATER}"),
    _matches("its date in rfc850 form", "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"),
    _matches("its date in asctime form", "If-Modified-Since: Sun Nov  6 08:49:37 1994"),
    _matches("a date after Date, without Last-Modified", "If-Modified-Since: {now+5}", stored=(HOUR,)),
    _matches("its tag and an earlier date", 'If-None-Match: "a"', f"If-Modified-Since: {EARLIER}"),
    _matches("its tag by HEAD", 'If-None-Match: "a"', method="HEAD"),
    _matches("its date by HEAD", f"If-Modified-Since: {MODIFIED}", method="HEAD"),
    _matches("its tag and a Range", 'If-None-Match: "a"', "Range: bytes=0-1"),
    _differs("another tag", 'If-None-Match: "b"'),
    _differs("a tag in other case", 'If-None-Match: "A"'),
    _differs("another tag and its date", 'If-None-Match: "b"', f"If-Modified-Since: {MODIFIED}"),
    _differs("an earlier date", f"If-Modified-Since: {EARLIER}"),
    _differs("no date", "If-Modified-Since: foo"),
    _differs("two dates", f"If-Modified-Since: {MODIFIED}", f"If-Modified-Since: {MODIFIED}"),
    _differs("a part of a tag", 'If-None-Match: "a', stored=(HOUR, 'ETag: "a"')),
    _differs("a tag, none stored", 'If-None-Match: "a"', stored=(HOUR,)),
    _differs("a date before Date, without Last-Modified", f"If-Modified-Since: {LATER}", stored=(HOUR,)),
    *(
        required("9111 4.3.2", f"{field} is not for caches", first(*STORED), get(field, content=None))
        for field in ('If-Match: "b"', f"If-Unmodified-Since: {EARLIER}")
    ),
    *(
        required(
            "9110 13.2.1", f"{code} is no 304", first(*STORED, status=code), hit('If-None-Match: "a"', status=code)
        )
        for code in (404, 301, 410)
    ),
]

NOT_STORED = [
    *(
        required(
            "9111 4.3.2",
            f"{name}: {value} goes on where nothing is stored",
            get(f"{name}: {value}", asked=True, checks=(sees(name, value),)),
        )
        for name, value in (
            ("If-None-Match", '"b", W/"c"'),
            ("If-None-Match", "*"),
            ("If-Match", '"b"'),
            ("If-Modified-Since", MODIFIED),
            ("If-Unmodified-Since", MODIFIED),
        )
    ),
    required(
        "9111 3",
        "the 304 to a client's own question is not stored as an answer",
        get('If-None-Match: "b"', asked=True, status=304, reply=Reply(304, (HOUR, 'ETag: "b"'))),
        miss(),
    ),
]

TAGGED = (*PAST, 'ETag: "a"', "X-A: 1", "X-B: 1", "Content-Type: text/plain", "Set-Cookie: a=1")
NEW = (HOUR, 'ETag: "a"')


def _validated(*fields: str, request: tuple[str, ...] = (), **rest: object) -> Step:
    return Step(**{"fields": request, "asked": True, "content": 0, "reply": Reply(304, fields), **rest})  # type: ignore[arg-type]


def _updates(
    name: str, *fields: str, check: tuple[Check, ...], stored: tuple[str, ...] = TAGGED, section: str = "9111 3.2"
) -> Probe:
    return required(section, name, first(*stored), _validated(*NEW, *fields, checks=check), hit(checks=check))


def _no_conditions(outcome: Outcome) -> str | None:
    names = ("If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range")
    last = outcome.seen[-1]
    return next((f"the last request has {name}" for name in names if last.values(name)), None)


VALIDATION = [
    allowed(
        "9111 4.3.1", "the tag is sent", first(*TAGGED), _validated(*NEW, checks=(sees("If-None-Match", '"a"'),)), hit()
    ),
    allowed(
        "9111 4.3.1",
        "the date is sent",
        first(*PAST, f"Last-Modified: {MODIFIED}"),
        _validated(HOUR, f"Last-Modified: {MODIFIED}", checks=(sees("If-Modified-Since", MODIFIED),)),
        hit(),
    ),
    allowed(
        "9111 4.3.1",
        "a weak tag is sent",
        first(*PAST, 'ETag: W/"a"'),
        _validated(HOUR, 'ETag: W/"a"', checks=(sees("If-None-Match", 'W/"a"'),)),
        hit(),
    ),
    allowed(
        "9111 4.3.1",
        "no-cache is validated",
        first("Cache-Control: no-cache", 'ETag: "a"'),
        _validated('ETag: "a"', checks=(sees("If-None-Match", '"a"'),)),
        _validated('ETag: "a"'),
    ),
    allowed(
        "9111 5.2.1.4",
        "a request's no-cache is validated",
        first(*NEW),
        _validated(*NEW, request=("Cache-Control: no-cache",), checks=(sees("If-None-Match", '"a"'),)),
    ),
    required(
        "9111 4.3.3",
        "a new whole response takes the place",
        first(*TAGGED),
        miss(reply=Reply(200, (HOUR, 'ETag: "b"'))),
        hit(of=1),
    ),
    required(
        "9111 4.3.3",
        "a new response that may not be stored",
        first(*TAGGED),
        miss(reply=Reply(200, ("Cache-Control: no-store",))),
        miss(),
    ),
    required("9111 4.3.2", "the client's tag joins", first(*TAGGED), _validated(*NEW, request=('If-None-Match: "c"',))),
    required(
        "9111 4.3.2",
        "the client's tag is the one",
        first(*TAGGED),
        _validated(HOUR, 'ETag: "c"', request=('If-None-Match: "c"',), status=304, checks=(sees("If-None-Match"),)),
        get(content=None, asked=True, reply=Reply(200, ('ETag: "c"',)), checks=(has("ETag", '"c"'),)),
    ),
    required(
        "9111 4.3.2",
        "the client's tag is the cache's",
        first(*TAGGED),
        _validated(*NEW, request=('If-None-Match: "a"',), status=304),
        hit(),
    ),
    required(
        "9111 4.3.2",
        "the client's date, the cache's tag",
        first(*TAGGED),
        _validated(*NEW, request=(f"If-Modified-Since: {EARLIER}",)),
    ),
    required(
        "9111 4.3.2",
        "the client's * on what is stale",
        first(*TAGGED),
        _validated(*NEW, request=("If-None-Match: *",), status=None, content=None, checks=(status_in(200, 304),)),
    ),
    required(
        "9111 4.3.4",
        "a 304 with another strong tag updates nothing",
        first(*TAGGED),
        get(asked=True, status=None, reply=Reply(304, (HOUR, 'ETag: "z"', "X-A: 2"))),
        miss(),
    ),
    required(
        "9111 4.3.4",
        "a 304 of a weak tag",
        first(*PAST, 'ETag: W/"a"', "X-A: 1"),
        _validated(HOUR, 'ETag: W/"a"', "X-A: 2", checks=(has("X-A", "2"),)),
        hit(),
    ),
    required(
        "9111 4.3.4",
        "a 304 without fields that says no more",
        first(*TAGGED),
        _validated(status=None, content=None, checks=(status_in(200, 304),)),
    ),
    _updates("a field is replaced", "X-A: 2", check=(has("X-A", "2"), has("X-B", "1"))),
    _updates("a field is added", "X-C: 3", check=(has("X-C", "3"),)),
    _updates("all lines of a field are replaced", "X-A: 2", "X-A: 3", check=(has("X-A", "2", "3"),)),
    _updates("many lines by one", "X-A: 3", check=(has("X-A", "3"),), stored=(*TAGGED, "X-A: 2")),
    _updates("Set-Cookie", "Set-Cookie: b=2", check=(has("Set-Cookie", "b=2"),)),
    _updates("Content-Type", "Content-Type: text/css", check=(has("Content-Type", "text/css"),)),
    _updates(
        "Content-Security-Policy",
        "Content-Security-Policy: default-src 'self'",
        check=(has("Content-Security-Policy"),),
    ),
    _updates("Content-Length stays", "Content-Length: 999", check=(has("Content-Length", "6"),)),
    _updates("Content-Length 0 stays", "Content-Length: 0", check=(has("Content-Length", "6"),)),
    _updates(
        "a field that Connection lists is none",
        "Connection: X-A",
        "X-A: 2",
        check=(lacks("Keep-Alive"), has("X-A", "1")),
    ),
    _updates(
        "Keep-Alive is none",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: a",
        check=(lacks("Keep-Alive", "Proxy-Connection"),),
    ),
    _updates("Proxy-Authenticate is not stored", "X-Z: 1", check=(lacks("Proxy-Authenticate"), has("X-Z", "1"))),
    _updates("Date", "Date: {now-2}", check=(has("Date"),)),
    required(
        "9111 4.3.4",
        "what a 304 says of storing counts",
        first(*TAGGED),
        _validated("Cache-Control: no-store", 'ETag: "a"'),
        miss(),
    ),
    required(
        "9111 4.3.4",
        "what a 304 says of privacy counts",
        first(*TAGGED),
        _validated("Cache-Control: private", 'ETag: "a"'),
        miss(),
    ),
    required(
        "9111 4.3.4",
        "a 304 gives no new lifetime",
        first(*PAST, 'ETag: "a"'),
        _validated('ETag: "a"', "Age: 9"),
        _validated('ETag: "a"'),
    ),
    allowed(
        "9111 4.3.4",
        "a stored lifetime begins again",
        first("Cache-Control: max-age=10", 'ETag: "a"', "Date: {now-20}"),
        _validated('ETag: "a"'),
        hit(),
    ),
    *(
        required("9110 8.8.3", f"ETag: {tag}", first(*PAST, f"ETag: {tag}"), miss(), get())
        for tag in ("abc", "", '"', '"a', 'a"', "W/", 'w/"a"', '"a", "b"', '"a b"', '""', 'W/""', "'a'", '"a""b"', "*")
    ),
    required(
        "9111 4.3.3",
        "a 500 to a validation is sent or what is stored",
        first(*TAGGED),
        get(asked=True, status=None, reply=Reply(500), checks=(status_in(200, 500),)),
    ),
    required(
        "9111 5.2.2.2",
        "a 503 to a validation with must-revalidate",
        first("Cache-Control: max-age=1, must-revalidate", "Age: 5", 'ETag: "a"'),
        get(asked=True, status=None, reply=Reply(503), checks=(status_in(503, 504),)),
    ),
    required(
        "9111 4.3.3", "a 404 to a validation", first(*TAGGED), get(asked=True, status=404, reply=Reply(404, (HOUR,)))
    ),
    required(
        "9111 4.3.3",
        "a 304 to HEAD by a client with its own tag",
        first(*TAGGED),
        Step(('If-None-Match: "c"',), "HEAD", asked=True, status=200),
    ),
    required(
        "9111 4.3.2",
        "If-Match goes on when stale",
        first(*TAGGED),
        get('If-Match: "q"', asked=True, status=412, reply=Reply(412), checks=(sees("If-Match", '"q"'),)),
    ),
    required(
        "9111 4.3.2",
        "If-Unmodified-Since goes on when stale",
        first(*TAGGED),
        get(
            f"If-Unmodified-Since: {EARLIER}",
            asked=True,
            status=412,
            reply=Reply(412),
            checks=(sees("If-Unmodified-Since"),),
        ),
    ),
    required(
        "9111 4.3.1",
        "no condition without a validator",
        first(*PAST),
        miss(checks=(sees_no("If-None-Match"), _no_conditions)),
    ),
]

PROBES = [*FRESH, *NOT_STORED, *VALIDATION]
