"""Cache-Control: syntax, and the requirements of each response directive (RFC 9111 section 5.2)."""

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
    sees,
)

OLD = "Last-Modified: {now-100000}"


def _reused(*values: str) -> list[Probe]:
    return [reused("9111 5.2", f"Cache-Control: {value}", f"Cache-Control: {value}") for value in values]


def _asked(section: str, *values: str) -> list[Probe]:
    return [asked_again(section, f"Cache-Control: {value}", f"Cache-Control: {value}", OLD) for value in values]


SPELLINGS = [
    *_reused(
        "max-age=60",
        "MAX-AGE=60",
        "mAx-aGe=60",
        'max-age="60"',
        'max-age="6\\0"',
        "max-age=0060",
        ", max-age=60",
        "max-age=60,",
        ",,,, max-age=60 ,,",
        "foo\t,\tmax-age=60\t",
        "foo,max-age=60",
        'foo="max-age=0", max-age=60',
        'foo="no-store, private, no-cache", max-age=60',
        'foo="a\\", no-store, \\"b", max-age=60',
        'foo="\\\\", max-age=60',
        "foo='bar', max-age=60",
        "foo=bar, max-age=60",
        'foo="", max-age=60',
        "max-age=60, x-no-store, no-storex, xprivate, nocache, no_cache",
        "max-age=60, must-revalidate",
        "max-age=60, proxy-revalidate",
        "max-age=60, no-transform",
        "max-age=60, immutable",
        "max-age=60, public",
        "max-age=60, must-understand",
        "max-age=60, stale-while-revalidate=abc",
        "max-age=60, only-if-cached",
        "max-age=60, min-fresh=100",
        "s-maxage=60",
        "S-MaxAge=60",
        's-maxage="60"',
        "s-maxage=60, max-age=0",
        "max-age=0, s-maxage=60",
        "max-age=2147483647",
        "max-age=2147483648",
        "max-age=4294967296",
        "max-age=9223372036854775808",
        "max-age=99999999999999999999999999999999",
        "no-store, must-understand, max-age=60",
        "must-understand, no-store, max-age=60",
    ),
    *_asked(
        "9111 4.2.1",
        "max-age=0",
        "max-age=-1",
        "max-age=60.0",
        "max-age=6e3",
        "max-age=+60",
        "max-age=0x60",
        "max-age=abc",
        "max-age=",
        "max-age",
        'max-age=""',
        "max-age='60'",
        "max-age=60s",
        "max-age=60 seconds",
        "max-age=60; foo",
        "max-age=60;foo=bar",
        'max-age=" 60"',
        'max-age="60',
        "max-age=\u0661\u0660".encode().decode("latin-1"),
        "max-age = 60",
        "max-age =60",
        "max-age= 60",
        "max-age=0, max-age=60",
        'max-age="0, 60"',
        "s-maxage=0, max-age=60",
        "max-age=60, s-maxage=0",
        "s-maxage=abc, max-age=60",
        "s-maxage=-1, max-age=60",
        "s-maxage, max-age=60",
    ),
    *_asked(
        "9111 5.2.2",
        "no-store",
        "NO-STORE",
        "max-age=60, no-store",
        "max-age=60,no-store",
        "max-age=60 ,\tNo-Store",
        ", no-store, max-age=60",
        "no-store=1, max-age=60",
        'no-store="x-a", max-age=60',
        "public, max-age=60, no-store",
        "immutable, max-age=60, no-store",
        "private",
        "private, max-age=60",
        "Private, max-age=60",
        "private, s-maxage=60",
        "public, private, max-age=60",
        'private="", max-age=60',
        "no-cache",
        "no-cache, max-age=60",
        "NO-CACHE, max-age=60",
        "max-age=60, no-cache",
        'no-cache="", max-age=60',
        "no-cache, immutable, max-age=60",
        'no-cache, no-cache="x-a", max-age=60',
        'foo="bar, no-store',
    ),
    asked_again(
        "9111 5.2", "max-age and no-store on two lines", "Cache-Control: max-age=60", "Cache-Control: no-store"
    ),
    asked_again("9111 5.2", "a field name in other case", "CACHE-CONTROL: no-store", OLD),
    reused(
        "9111 5.2", "directives on three lines", "Cache-Control: foo", "cache-control: max-age=60", "Cache-Control:"
    ),
    asked_again("9111 4.2.1", "the first of two lines says 0", "Cache-Control: max-age=0", "Cache-Control: max-age=60"),
    reused("9111 5.2.2.9", "public alone makes heuristics possible", "Cache-Control: public", OLD, status=299),
    reused("9111 5.4", "Pragma in a response means nothing", "Cache-Control: max-age=60", "Pragma: no-cache"),
    reused("9111 5.5", "Warning means nothing", "Cache-Control: max-age=60", 'Warning: 110 - "stale"'),
    reused("9111 7.3", "Set-Cookie does not keep from storing", "Cache-Control: max-age=60", "Set-Cookie: a=1"),
    asked_again("9111 4.2", "no freshness and no validator", "X-A: 1"),
]


def _listed(name: str, value: str) -> list[Probe]:
    fields = (f"Cache-Control: max-age=60, {value}", "X-A: 1", "x-b: 2", "X-C: 3")
    return [
        allowed("9111 5.2.2.4/7", f"{name}: the rest is used again", first(*fields, checks=(has("X-A"),)), hit()),
        required(
            "9111 5.2.2.4/7", f"{name}: not the field", first(*fields), get(checks=(lacks("X-A"), has("X-C", "3")))
        ),
    ]


LISTED = [
    probe
    for value in (
        'no-cache="X-A"',
        'private="x-a"',
        "no-cache=x-a",
        "private=X-A",
        'private="x-b, X-A"',
        'no-cache=" x-a ,,"',
    )
    for probe in (
        _listed(value, value)
        if "=x" not in value.lower().replace('"', "") or '"' in value
        else [
            allowed(
                "9111 5.2.2.4/7",
                f"{value} as a token",
                first(f"Cache-Control: max-age=60, {value}", "X-A: 1"),
                get(checks=(lacks("X-A"),)),
            )
        ]
    )
]

_REPLY = ("Cache-Control: max-age=60", 'ETag: "a"', "Date: {now-10}")


def _requests(name: str, *fields: str, section: str = "9111 5.2.1") -> Probe:
    return allowed(section, f"request: {name}", first(*_REPLY), hit(), miss(*fields))


REQUESTS = [
    _requests("no-cache", "Cache-Control: no-cache"),
    _requests("NO-CACHE", "Cache-Control: foo, NO-CACHE"),
    _requests("max-age=0", "Cache-Control: max-age=0"),
    _requests("max-age below the age", "Cache-Control: max-age=5"),
    _requests("max-age quoted", 'Cache-Control: max-age="5"'),
    _requests("min-fresh beyond what is left", "Cache-Control: min-fresh=55"),
    _requests("Pragma: no-cache alone", "Pragma: no-cache", section="7234 5.4"),
    allowed(
        "9111 5.4", "Pragma beside Cache-Control", first(*_REPLY), hit("Pragma: no-cache", "Cache-Control: max-age=30")
    ),
    allowed("9111 5.2.1.1", "request max-age above the age", first(*_REPLY), hit("Cache-Control: max-age=30")),
    allowed(
        "9111 5.2.1.3", "request min-fresh within what is left", first(*_REPLY), hit("Cache-Control: min-fresh=30")
    ),
    allowed("9111 5.2.1.5", "request no-store on what is stored", first(*_REPLY), hit("Cache-Control: no-store")),
    allowed(
        "9111 5.2.3", "request with unknown directives", first(*_REPLY), hit('Cache-Control: foo="no-cache, max-age=0"')
    ),
    allowed("9111 5.2.1.7", "only-if-cached from storage", first(*_REPLY), hit("Cache-Control: only-if-cached")),
    required(
        "9111 5.2.1.5",
        "nothing is stored of a request with no-store",
        get("Cache-Control: no-store", asked=True, reply=first(*_REPLY).reply),
        miss(),
    ),
    required(
        "9111 5.2.1.7",
        "only-if-cached with nothing stored is 504",
        get("Cache-Control: only-if-cached", asked=False, status=504),
    ),
    required(
        "9111 5.2.1.7",
        "only-if-cached with what is stale is 504",
        first("Cache-Control: max-age=1", "Age: 5"),
        get("Cache-Control: only-if-cached", asked=False, status=504),
    ),
    required(
        "9111 5.2",
        "directives pass through both ways",
        get(
            'Cache-Control: foo, min-fresh=0, bar="a, b"',
            asked=True,
            reply=first("Cache-Control: max-age=60, foo", 'Cache-Control: Bar="a, b"').reply,
            checks=(
                sees("Cache-Control", 'foo, min-fresh=0, bar="a, b"'),
                has("Cache-Control", "max-age=60, foo", 'Bar="a, b"'),
            ),
        ),
        hit(checks=(has("Cache-Control", "max-age=60, foo", 'Bar="a, b"'),)),
    ),
]


def _authorized(value: str) -> Probe:
    return allowed(
        "9111 3.5",
        f"with Authorization and {value}",
        get("Authorization: Basic YTpi", asked=True, reply=first(f"Cache-Control: {value}").reply),
        hit("Authorization: Basic YTpi"),
        hit(),
    )


def _not_authorized(value: str) -> Probe:
    reply = first(f"Cache-Control: {value}", OLD).reply
    again = get("Authorization: Basic YTpi", asked=True, reply=reply)
    return required("9111 3.5", f"with Authorization and {value} only", again, again, miss())


AUTHORIZATION = [
    *(_authorized(value) for value in ("public, max-age=60", "s-maxage=60", "must-revalidate, max-age=60")),
    *(_not_authorized(value) for value in ("max-age=60", "proxy-revalidate, max-age=60", 'foo="public", max-age=60')),
    required(
        "9111 3.5",
        "with Authorization, s-maxage that has passed",
        get(
            "Authorization: Basic YTpi",
            asked=True,
            reply=first("Cache-Control: s-maxage=5, max-age=60", "Age: 9").reply,
        ),
        miss(),
    ),
    allowed("9111 3.5", "Authorization only in the second", first(*_REPLY), hit("Authorization: Basic YTpi")),
]

PROBES = [*SPELLINGS, *LISTED, *REQUESTS, *AUTHORIZATION]
