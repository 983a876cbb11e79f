"""CDN-Cache-Control: its syntax and its precedence (RFC 9213)."""

from tests.loopback.http.cache_probes.probing import (
    Probe,
    allowed,
    asked_again,
    first,
    get,
    has,
    hit,
    lacks,
    miss,
    required,
    reused,
)

OLD = "Last-Modified: {now-100000}"
NOT = "Cache-Control: no-store"
HOUR = "Cache-Control: max-age=3600"


def _governs(value: str) -> Probe:
    return reused("9213 2.2", f"{value} over no-store", f"CDN-Cache-Control: {value}", NOT, "Expires: 0")


def _forbids(value: str) -> Probe:
    return asked_again("9213 2.2", f"{value} over max-age", f"CDN-Cache-Control: {value}", HOUR, OLD)


def _void(value: str) -> list[Probe]:
    return [
        reused("9213 2.1", f"{value!r} is void beside max-age", f"CDN-Cache-Control: {value}", HOUR),
        asked_again("9213 2.1", f"{value!r} is void beside no-store", f"CDN-Cache-Control: {value}", NOT),
    ]


PROBES = [
    *(
        _governs(value)
        for value in (
            "max-age=60",
            "max-age=60;foo=bar",
            "max-age=60;a; b=1.5",
            "max-age=60, foo",
            "foo, max-age=60",
            'foo="a, no-store", max-age=60',
            "max-age=0, max-age=60",
            "no-store=?0, max-age=60",
            "private=?0, no-cache=?0, max-age=60",
            "max-age=60, must-revalidate",
            "s-maxage=60",
            "s-maxage=60, max-age=0",
            "max-age=60, foo=(a b)",
            "max-age=60, foo=:YWJj:",
            "max-age=60\t,\tfoo",
            "max-age=999999999999999",
        )
    ),
    *(
        _forbids(value)
        for value in (
            "no-store",
            "no-store, max-age=60",
            "private",
            "no-cache",
            "no-cache, max-age=60",
            "max-age=0",
            "max-age=60, max-age=0",
            "no-store=?1",
            "no-store;a=1",
            "private, max-age=60",
        )
    ),
    *(
        probe
        for value in (
            "",
            "max-age=",
            "max-age=60,",
            ", max-age=60",
            "MAX-AGE=60",
            "max-age=60,,foo",
            "max-age = 60",
            "max-age=60 foo",
            "max-age=0060.",
            "&",
            'max-age="60',
            "max-age=?2",
            "max-age=1000000000000000",
            "max-age=60; Foo",
            "max-age=60 ;a",
        )
        for probe in _void(value)
    ),
    *(
        asked_again("9213 2.1", f"{value} is no whole number", f"CDN-Cache-Control: {value}", NOT)
        for value in ("max-age=60.0", 'max-age="60"', "max-age=abc", "max-age", "max-age=-1")
    ),
    reused("9213 2.2", "two lines", "CDN-Cache-Control: foo", "CDN-Cache-Control: max-age=60", NOT),
    asked_again(
        "9213 2.2",
        "two lines, the second forbids",
        "CDN-Cache-Control: max-age=60",
        "CDN-Cache-Control: no-store",
        HOUR,
    ),
    reused("9213 2.2", "the name in other case", "cdn-cache-control: max-age=60", NOT),
    reused("9213 2.2", "Surrogate-Control means nothing", "Surrogate-Control: no-store", HOUR),
    asked_again("9213 2.2", "Surrogate-Control gives nothing", "Surrogate-Control: max-age=60", NOT),
    asked_again("9213 2.2", "other targets give nothing", "Example-CDN-Cache-Control: max-age=60", NOT),
    reused("9213 3.1", "heuristics where it says nothing of them", "CDN-Cache-Control: none", NOT, OLD),
    required(
        "9213 2.2",
        "the field passes, with Cache-Control",
        first("CDN-Cache-Control: max-age=60", NOT),
        get(checks=(has("CDN-Cache-Control", "max-age=60"), has("Cache-Control", "no-store"))),
    ),
    required(
        "9213 2.2",
        "a listed field",
        first('CDN-Cache-Control: max-age=60, no-cache="X-A"', "X-A: 1"),
        get(checks=(lacks("X-A"),)),
    ),
    required("9213 2.2", "it passes in time", first("CDN-Cache-Control: max-age=2", HOUR), miss(after_s=3.2)),
    allowed(
        "9213 2.2",
        "stale-while-revalidate",
        first("CDN-Cache-Control: max-age=1, stale-while-revalidate=60", NOT, "Age: 5"),
        get(content=0),
    ),
    required(
        "9213 2.2",
        "must-revalidate over stale-while-revalidate",
        first(
            "CDN-Cache-Control: max-age=1, must-revalidate",
            "Cache-Control: max-age=1, stale-while-revalidate=60",
            "Age: 5",
        ),
        miss(),
    ),
    required(
        "9111 3.5",
        "with Authorization and max-age",
        get("Authorization: Basic YTpi", asked=True, reply=first("CDN-Cache-Control: max-age=60").reply),
        miss(),
    ),
    allowed(
        "9111 3.5",
        "with Authorization and public",
        get("Authorization: Basic YTpi", asked=True, reply=first("CDN-Cache-Control: public, max-age=60").reply),
        hit(),
    ),
]
