"""Stale responses: RFC 9111 section 4.2.4, RFC 5861, and the client's max-stale."""

from tests.loopback.http.cache_probes.probing import (
    Probe,
    Reply,
    Step,
    age,
    allowed,
    cache_status,
    first,
    get,
    hit,
    miss,
    required,
    status_in,
)

SINCE = "Cache-Control: max-age=1, "
CLOSES = Reply(pieces=(b"",), is_closed=True)
GARBAGE = Reply(pieces=(b"\0\1\2 foo\r\n\r\n",), is_closed=True)


def _revalidated(name: str, directives: str) -> Probe:
    return required("5861 3", name, first(f"Cache-Control: {directives}", 'ETag: "a"', "Age: 5"), miss())


REVALIDATED = [
    allowed(
        "5861 3",
        "stale while it is revalidated, then new",
        first(SINCE + "stale-while-revalidate=60", 'ETag: "a"', "Age: 5"),
        Step(
            content=0,
            reply=Reply(200, ("Cache-Control: max-age=60",)),
            checks=(age(5, 9), lambda o: None if len(o.seen) == 1 else f"{len(o.seen)} asked"),
        ),
        hit(of=1),
    ),
    allowed(
        "5861 3",
        "stale while it is revalidated with 304",
        first(SINCE + "stale-while-revalidate=60", 'ETag: "a"', "Age: 5"),
        Step(content=0, reply=Reply(304, ("Cache-Control: max-age=60", 'ETag: "a"', "Age: 0"))),
        hit(),
    ),
    allowed("5861 3", "spelt in other case", first(SINCE + "Stale-While-Revalidate=60", "Age: 5"), Step(content=0)),
    allowed("5861 3", "fresh is not revalidated", first("Cache-Control: max-age=60, stale-while-revalidate=60"), hit()),
    allowed(
        "5861 3",
        "a failure meanwhile leaves it",
        first(SINCE + "stale-while-revalidate=60", "Age: 5"),
        Step(content=0, reply=Reply(500)),
        Step(content=0),
    ),
    allowed(
        "5861 3",
        "HEAD as well",
        first(SINCE + "stale-while-revalidate=60", "Age: 5"),
        Step(method="HEAD", content=0, checks=(age(5, 9),)),
    ),
    _revalidated("beyond the window", "max-age=1, stale-while-revalidate=2"),
    _revalidated("a window of 0", "max-age=1, stale-while-revalidate=0"),
    _revalidated("a bad window", "max-age=1, stale-while-revalidate=abc"),
    _revalidated("with must-revalidate", "max-age=1, stale-while-revalidate=60, must-revalidate"),
    _revalidated("with proxy-revalidate", "max-age=1, stale-while-revalidate=60, proxy-revalidate"),
    _revalidated("with no-cache", "max-age=1, stale-while-revalidate=60, no-cache"),
    _revalidated("with s-maxage", "s-maxage=1, stale-while-revalidate=60"),
    required(
        "5861 3",
        "a request with no-cache",
        first(SINCE + "stale-while-revalidate=60", "Age: 5"),
        miss("Cache-Control: no-cache"),
    ),
    required("5861 3", "the window by the clock", first(SINCE + "stale-while-revalidate=1"), miss(after_s=3.5)),
]


def _kept(name: str, directives: str, reply: Reply, is_tagged: bool = True) -> Probe:
    tag = ('ETag: "a"',) if is_tagged else ()
    return allowed(
        "5861 4",
        name,
        first(f"Cache-Control: {directives}", "Age: 5", *tag),
        get(asked=True, content=0, reply=reply, checks=(age(5, 9),)),
    )


def _failed(name: str, directives: str, reply: Reply, *statuses: int, section: str = "5861 4") -> Probe:
    step = get(asked=True, status=None, reply=reply, checks=(status_in(*statuses),))
    return required(section, name, first(f"Cache-Control: {directives}", "Age: 5", 'ETag: "a"'), step)


ON_ERROR = [
    *(_kept(f"stale on {code}", "max-age=1, stale-if-error=60", Reply(code)) for code in (500, 502, 503, 504)),
    _kept("stale on 503 without a tag", "max-age=1, stale-if-error=60", Reply(503), is_tagged=False),
    _kept("stale on an end", "max-age=1, stale-if-error=60", CLOSES),
    _kept("stale on garbage", "max-age=1, stale-if-error=60", GARBAGE),
    _kept("stale on an end, without a word about it", "max-age=1", CLOSES),
    _kept("spelt in other case", "max-age=1, STALE-IF-ERROR=60", Reply(503)),
    _kept("stale on 500 as a window for both", "max-age=1, stale-while-revalidate=2, stale-if-error=60", Reply(500)),
    _failed("404 is no error of that kind", "max-age=1, stale-if-error=60", Reply(404), 404),
    _failed("beyond the window", "max-age=1, stale-if-error=2", Reply(503), 503),
    _failed("beyond the window, on an end", "max-age=1, stale-if-error=2", CLOSES, 502, 504),
    _failed("beyond the window, on garbage", "max-age=1, stale-if-error=2", GARBAGE, 502, 504),
    _failed("501 is no error of that kind", "max-age=1, stale-if-error=60", Reply(501), 501),
    _failed("with must-revalidate", "max-age=1, stale-if-error=60, must-revalidate", Reply(503), 503, 504),
    _failed("with proxy-revalidate", "max-age=1, stale-if-error=60, proxy-revalidate", Reply(503), 503, 504),
    _failed("with no-cache", "max-age=1, stale-if-error=60, no-cache", Reply(503), 503, 504),
    _failed("with s-maxage", "s-maxage=1, stale-if-error=60", Reply(503), 503, 504),
    _failed("503 without a word about it", "max-age=1", Reply(503), 503, section="9111 4.2.4"),
    _failed("an end with must-revalidate is 504", "max-age=1, must-revalidate", CLOSES, 504, section="9111 5.2.2.2"),
    _failed(
        "an end with proxy-revalidate is 504", "max-age=1, proxy-revalidate", CLOSES, 502, 504, section="9111 5.2.2.8"
    ),
    _failed("an end with s-maxage", "s-maxage=1", CLOSES, 502, 504, section="9111 5.2.2.10"),
    _failed("an end with no-cache", "no-cache, max-age=60", CLOSES, 502, 504, section="9111 5.2.2.4"),
    allowed(
        "5861 4",
        "a request's stale-if-error",
        first(SINCE + "foo", "Age: 5"),
        get("Cache-Control: stale-if-error=60", asked=True, content=0, reply=Reply(503)),
    ),
    required(
        "5861 4",
        "no stale answer to no-cache on error",
        first(SINCE + "stale-if-error=60", "Age: 5"),
        get("Cache-Control: no-cache", asked=True, status=None, reply=Reply(503), checks=(status_in(200, 503),)),
    ),
    allowed(
        "5861 4",
        "heuristic freshness that has passed, on an end",
        first("Last-Modified: {now-100}", "Age: 90"),
        get(asked=True, content=0, reply=CLOSES),
    ),
]


def _accepted(name: str, directive: str, stored: str = "max-age=1") -> Probe:
    return allowed(
        "9111 5.2.1.2",
        name,
        first(f"Cache-Control: {stored}", "Age: 5"),
        hit(f"Cache-Control: {directive}", checks=(age(5, 9),)),
    )


def _refused(name: str, directive: str, stored: str = "max-age=1") -> Probe:
    return required(
        "9111 5.2.1.2", name, first(f"Cache-Control: {stored}", "Age: 5"), miss(f"Cache-Control: {directive}")
    )


BY_CLIENT = [
    _accepted("max-stale", "max-stale"),
    _accepted("max-stale=60", "max-stale=60"),
    _accepted("max-stale in quotes", 'max-stale="60"'),
    _accepted("max-stale with only-if-cached", "max-stale, only-if-cached"),
    _accepted("max-stale beside max-age", "max-age=60, max-stale=60"),
    _refused("max-stale too small", "max-stale=1"),
    _refused("max-stale=0", "max-stale=0"),
    _refused("a bad max-stale", "max-stale=abc"),
    _refused("max-stale with must-revalidate stored", "max-stale", "max-age=1, must-revalidate"),
    _refused("max-stale with proxy-revalidate stored", "max-stale", "max-age=1, proxy-revalidate"),
    _refused("max-stale with s-maxage stored", "max-stale", "s-maxage=1"),
    _refused("max-stale with no-cache stored", "max-stale", "max-age=1, no-cache"),
    _refused("max-stale with no-cache", "max-stale, no-cache"),
    required(
        "9111 5.2.1.1",
        "max-age that is exceeded with max-stale",
        first("Cache-Control: max-age=60", "Age: 30"),
        get("Cache-Control: max-age=5, max-stale=10", asked=True),
    ),
]

STATUS = [
    required(
        "9211 2.1",
        "a hit says so",
        first("Cache-Control: max-age=60"),
        get(asked=False, checks=(cache_status("lab7; hit"),)),
    ),
    required(
        "9211 2.2",
        "a miss says so",
        first("Cache-Control: max-age=60", checks=(cache_status("lab7; fwd=uri-miss"), cache_status("stored"))),
    ),
    required(
        "9211 2.2",
        "what is stale says so",
        first("Cache-Control: max-age=1", "Age: 5"),
        miss(checks=(cache_status("fwd=stale"),)),
    ),
    required(
        "9211 2.2",
        "a request's wish says so",
        first("Cache-Control: max-age=60"),
        miss("Cache-Control: no-cache", checks=(cache_status("fwd=request"),)),
    ),
    required("9211 2.2", "a method says so", Step(method="POST", asked=True, checks=(cache_status("fwd=method"),))),
    required(
        "9211 2.2",
        "another variant says so",
        get("X-A: 1", asked=True, reply=Reply(200, ("Cache-Control: max-age=60", "Vary: X-A"))),
        miss("X-A: 2", checks=(cache_status("fwd=vary-miss"),)),
    ),
    required(
        "9211 2.3",
        "a validation says what came",
        first("Cache-Control: max-age=1", "Age: 5", 'ETag: "a"'),
        get(asked=True, reply=Reply(304, ('ETag: "a"',)), checks=(cache_status("fwd-status=304"),)),
    ),
    required(
        "9211 2.4",
        "ttl below 0",
        first("Cache-Control: max-age=1", "Age: 5"),
        get("Cache-Control: max-stale", asked=False, checks=(cache_status("ttl=-"),)),
    ),
    required(
        "9211 2",
        "it comes after those of others",
        first(
            "Cache-Control: max-age=60",
            "Cache-Status: other; hit",
            checks=(
                lambda o: (
                    None if ", ".join(o.got.values("Cache-Status")).startswith("other; hit, lab7;") else "not after"
                ),
            ),
        ),
        get(
            checks=(
                lambda o: (
                    None
                    if ", ".join(o.got.values("Cache-Status")).startswith("other; hit, lab7; hit")
                    else f"not after {o.got.values('Cache-Status')}"
                ),
            )
        ),
    ),
]

PROBES = [*REVALIDATED, *ON_ERROR, *BY_CLIENT, *STATUS]
