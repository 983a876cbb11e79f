"""Vary: which stored response a request selects (RFC 9111 section 4.1)."""

from tests.loopback.http.cache_probes.probing import Probe, Reply, Step, allowed, get, has, hit, miss, required

HOUR = "Cache-Control: max-age=3600"


def _varied(vary: str | tuple[str, ...], *fields: str, more: tuple[str, ...] = (), **rest: object) -> Step:
    lines = (vary,) if isinstance(vary, str) else vary
    reply = Reply(fields=(HOUR, *(f"Vary: {line}" for line in lines), *more))
    return get(*fields, asked=True, reply=reply, **rest)


def _same(name: str, vary: str | tuple[str, ...], one: tuple[str, ...], other: tuple[str, ...]) -> Probe:
    return allowed("9111 4.1", name, _varied(vary, *one), hit(*other))


def _differs(name: str, vary: str | tuple[str, ...], one: tuple[str, ...], other: tuple[str, ...]) -> Probe:
    return required("9111 4.1", name, _varied(vary, *one), miss(*other))


A, B = ("X-A: 1",), ("X-A: 2",)

FORMS = [
    _same("the same value", "X-A", A, A),
    _same("absent in both", "X-A", (), ()),
    _same("a name in other case", "x-a", A, ("x-A: 1",)),
    _same("an empty Vary", "", A, B),
    _same("empty members", ", ,X-A,,", A, A),
    _same("blanks around the value", "X-A", ("X-A:1",), ("X-A: \t 1  ",)),
    _same("two fields, in another order", "X-A, X-B", ("X-A: 1", "X-B: 2"), ("X-B: 2", "X-A: 1")),
    _same("the same two lines", "X-A", ("X-A: 1", "X-A: 2"), ("X-A: 1", "X-A: 2")),
    _same("two lines and one list", "X-A", ("X-A: 1", "X-A: 2"), ("X-A: 1, 2",)),
    _same("other fields differ", "X-A", ("X-A: 1", "X-B: 1"), ("X-A: 1", "X-B: 2")),
    _same(
        "Accept-Encoding in another order",
        "Accept-Encoding",
        ("Accept-Encoding: gzip, br",),
        ("Accept-Encoding: br, gzip",),
    ),
    _same(
        "Accept-Encoding without blanks",
        "Accept-Encoding",
        ("Accept-Encoding: gzip, br",),
        ("Accept-Encoding: gzip,br",),
    ),
    _same("Accept-Encoding in other case", "Accept-Encoding", ("Accept-Encoding: GZIP",), ("Accept-Encoding: gzip",)),
    _same("Accept-Language in other case", "Accept-Language", ("Accept-Language: EN-gb",), ("Accept-Language: en-GB",)),
    _same(
        "Accept-Language without blanks", "Accept-Language", ("Accept-Language: en, de",), ("Accept-Language: en,de",)
    ),
    _same(
        "Accept-Language with empty members",
        "Accept-Language",
        ("Accept-Language: en, de",),
        ("Accept-Language: en, ,de,",),
    ),
    _same("Accept without blanks", "Accept", ("Accept: text/html;q=0.5, */*",), ("Accept: text/html; q=0.5 ,*/*",)),
    _same("a q of 1 and none", "Accept-Language", ("Accept-Language: en;q=1.0",), ("Accept-Language: en",)),
    _same("q with zeros", "Accept-Encoding", ("Accept-Encoding: gzip;q=0.50",), ("Accept-Encoding: gzip;q=0.5",)),
    _same(
        "Accept-Language in another order of one rank",
        "Accept-Language",
        ("Accept-Language: en;q=0.5, de",),
        ("Accept-Language: de, en;q=0.5",),
    ),
    _same("on Host", "Host", (), ()),
    _same("on User-Agent", "User-Agent", ("User-Agent: a",), ("User-Agent: a",)),
    _same("on Cookie", "Cookie", ("Cookie: a=1",), ("Cookie: a=1",)),
    _differs("other values", "X-A", A, B),
    _differs("absent in the first", "X-A", (), A),
    _differs("absent in the second", "X-A", A, ()),
    _differs("empty in the second", "X-A", A, ("X-A:",)),
    _differs("empty is not absent", "X-A", (), ("X-A:",)),
    _differs("a name in other case differs", "x-a", A, B),
    _differs("the second of two", "X-A, X-B", ("X-A: 1", "X-B: 1"), ("X-A: 1", "X-B: 2")),
    _differs("the first of two", "X-A , X-B", ("X-A: 1", "X-B: 1"), ("X-A: 2", "X-B: 1")),
    _differs("two lines of Vary, the first", ("X-A", "X-B"), ("X-A: 1", "X-B: 1"), ("X-A: 2", "X-B: 1")),
    _differs("two lines of Vary, the second", ("X-A", "X-B"), ("X-A: 1", "X-B: 1"), ("X-A: 1", "X-B: 2")),
    _differs("a value in other case", "X-A", ("X-A: a",), ("X-A: A",)),
    _differs("lines in another order", "X-A", ("X-A: 1", "X-A: 2"), ("X-A: 2", "X-A: 1")),
    _differs("a line more", "X-A", ("X-A: 1",), ("X-A: 1", "X-A: 1")),
    _differs("a blank inside", "X-A", ("X-A: a b",), ("X-A: ab",)),
    _differs(
        "Accept-Encoding with another weight",
        "Accept-Encoding",
        ("Accept-Encoding: gzip;q=0",),
        ("Accept-Encoding: gzip",),
    ),
    _differs("Accept-Language en and de", "Accept-Language", ("Accept-Language: en",), ("Accept-Language: de",)),
    _differs("on Cookie differs", "Cookie", ("Cookie: a=1",), ("Cookie: a=2",)),
    _differs("on Authorization", "Authorization", (), ("Authorization: Basic YTpi",)),
    _differs("on Accept-Encoding absent", "Accept-Encoding", ("Accept-Encoding: gzip",), ()),
    *(_differs(f"Vary: {value}", value, A, A) for value in ("*", "X-A, *", "*, X-A", " * ", "*,*")),
    _differs("Vary: * on a second line", ("X-A", "*"), A, A),
]

SELECTION = [
    allowed("9111 4.1", "two variants are kept", _varied("X-A", *A), _varied("X-A", *B), hit(*A), hit(*B, of=1)),
    allowed(
        "9111 4.1",
        "ten variants are kept",
        *(_varied("X-A", f"X-A: {number}") for number in range(10)),
        *(hit(f"X-A: {number}", of=number) for number in range(10)),
    ),
    required(
        "9111 4.1",
        "what was selected by one field is not used for another",
        get("X-A: 1", "X-B: 1", asked=True, reply=Reply(fields=(HOUR, "Vary: X-A"))),
        get("X-A: 2", "X-B: 2", asked=True, reply=Reply(fields=(HOUR, "Vary: X-B"))),
        miss("X-A: 3", "X-B: 3"),
    ),
    required(
        "9111 4",
        "the most recent by Date of two that match",
        get("X-A: 1", "X-B: 1", asked=True, reply=Reply(fields=(HOUR, "Vary: X-A", "Date: {now-50}"))),
        get("X-A: 2", "X-B: 2", asked=True, reply=Reply(fields=(HOUR, "Vary: X-B", "Date: {now-5}"))),
        hit("X-A: 1", "X-B: 2", of=1),
    ),
    required(
        "9111 4.1",
        "a response without Vary does not hide those with it",
        _varied("X-A", *A),
        get("X-A: 2", "Cache-Control: no-cache", asked=True, reply=Reply(fields=("Cache-Control: max-age=0",))),
        get(*A, asked=None),
    ),
    required(
        "9111 4.1",
        "304 brings another Vary",
        get("X-A: 1", asked=True, reply=Reply(fields=("Cache-Control: max-age=1", "Age: 5", 'ETag: "a"'))),
        get("X-A: 1", asked=True, reply=Reply(304, (HOUR, 'ETag: "a"', "Vary: X-A")), content=0),
        miss("X-A: 2"),
    ),
    required(
        "9110 12.5.5",
        "Vary is on the answer from storage",
        _varied("X-A , x-b", *A),
        get(*A, checks=(has("Vary", "X-A , x-b"),)),
    ),
    allowed(
        "9111 4.1",
        "a variant is replaced, the other stays",
        _varied("X-A", *A),
        _varied("X-A", *B),
        _varied("X-A", *A, "Cache-Control: no-cache"),
        hit(*A, of=2),
        hit(*B, of=1),
    ),
    required("9111 4.1", "HEAD selects as well", _varied("X-A", *A), get(*B, method="HEAD", asked=True)),
]

PROBES = [*FORMS, *SELECTION]
