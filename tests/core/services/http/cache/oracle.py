"""Oracle for reuse of stored responses, written from the text of RFC 9111, independent of the cache under test.

    >>> held = Held(b"http://a/", b"GET", Fields(), 200, Fields(((b"Cache-Control", b"max-age=10"),)), 100.0, 100.0)
    >>> forbidden(held, Request(b"GET", b"/"), b"http://a/", 120.0)
    ['stale (4.2)']

Where the text leaves a choice, `forbidden` uses the most permissive reading, so that each result is a fault whatever
the cache chose; `must_reuse` uses the strictest, and returns True only in simple cases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from lab7.services.http.fields import Fields
from lab7.services.http.messages import Request

# RFC 9110 section 15.1
HEURISTICALLY_CACHEABLE = {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501}
# RFC 9110 section 15: every final status that it defines, for must-understand.
DEFINED = {*range(200, 207), *range(300, 306), 307, 308, *range(400, 418), 421, 422, 426, *range(500, 506)}
# RFC 9110 section 9.2.1
SAFE = {b"GET", b"HEAD", b"OPTIONS", b"TRACE"}
# RFC 9111 section 3.1, with RFC 9110 section 7.6.1
PER_CONNECTION = {b"connection", b"keep-alive", b"te", b"transfer-encoding", b"upgrade", b"proxy-connection"}
PER_PROXY = {b"proxy-authenticate", b"proxy-authentication-info", b"proxy-authorization"}
# RFC 5861 section 4
ERRORS = {500, 502, 503, 504}
# RFC 9111 section 1.2.2
OVERFLOW = 2**31
HEURISTIC_FRACTION = 0.1
HEURISTIC_MOST_S = 86_400

_PIECE = re.compile(rb'(?:[^",]|"(?:[^"\\]|\\.)*")+', re.DOTALL)
_SF_MEMBER = re.compile(rb'[a-z*][a-z0-9_\-.*]*(?:=(?:\d{1,15}|"[^"\\]*"|\?[01]|[A-Za-z*][A-Za-z0-9.*/:_-]*))?')
_DATE_FORMATS = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")

Directives = dict[bytes, list[bytes | None]]


@dataclass
class Held:
    """A response that the cache stored, as received from the origin and not as stored.

    `asked` are the fields of the client's request, `fields` those of the origin's response, freshened as section 3.2
    has it. `span` is None for a complete one, else (first, last, complete length or None).
    """

    uri: bytes
    method: bytes
    asked: Fields
    status: int
    fields: Fields
    request_time: float
    response_time: float
    content: bytes = b""
    span: tuple[int, int, int | None] | None = None
    outdated: bool = False


def directives(value: bytes | None) -> Directives:
    """Parse a Cache-Control field: lower-case name -> arguments, None for none (section 5.2)."""
    found: Directives = {}
    for piece in _PIECE.findall(value or b""):
        name, equals, argument = piece.strip(b" \t").partition(b"=")
        if name:
            found.setdefault(name.lower(), []).append(argument if equals else None)
    return found


def targeted(value: bytes | None) -> Directives | None:
    """Parse CDN-Cache-Control (RFC 9213 section 2.1); None where it is absent, empty or no Dictionary."""
    if value is None or not value.strip():
        return None
    found: Directives = {}
    for piece in value.split(b","):
        if _SF_MEMBER.fullmatch(piece.strip(b" \t")) is None:
            return None
        name, equals, argument = piece.strip(b" \t").partition(b"=")
        # RFC 8941 section 3.2: the last one of a key stands.
        found[name] = [argument if equals else None]
    return found


def policy_of(fields: Fields) -> tuple[Directives, bool]:
    """Return the effective directives of a response, and True where they are targeted, so that Expires is ignored."""
    if (aimed := targeted(fields.get(b"cdn-cache-control"))) is not None:
        return aimed, True
    return directives(fields.get(b"cache-control")), False


def seconds(argument: bytes | None) -> int | None:
    """Parse delta-seconds, as token or quoted-string (sections 1.2.2 and 5.2); None where invalid."""
    if argument is None:
        return None
    argument = argument[1:-1] if len(argument) > 1 and argument[:1] == argument[-1:] == b'"' else argument
    return min(int(argument), OVERFLOW) if argument.isdigit() else None


def http_date(value: bytes | None) -> int | None:
    """Parse any of the three formats (RFC 9110 section 5.6.7); all years in tests are of one century."""
    for form in _DATE_FORMATS:
        try:
            return int(datetime.strptime((value or b"").decode("latin-1"), form).replace(tzinfo=UTC).timestamp())
        except ValueError:
            continue
    return None


def date_of(held: Held) -> int:
    """Return its Date, or the time of receipt (RFC 9110 section 6.6.1)."""
    date = http_date(held.fields.get(b"date"))
    return int(held.response_time) if date is None else date


def ages(held: Held, now: float) -> tuple[float, float]:
    """Return the two values of current_age that section 4.2.3 permits, seconds, the smaller one first."""
    first = (held.fields.get(b"age") or b"").split(b",")[0].strip()
    age_value = min(int(first), OVERFLOW) if first.isdigit() else 0
    waited = now - held.request_time
    apparent = max(0.0, held.response_time - date_of(held)) + now - held.response_time
    return age_value + waited, max(age_value + waited, apparent)


def longest_lifetime(held: Held) -> float:
    """Return the longest freshness lifetime that sections 4.2.1 and 4.2.2 permit, seconds; 0 for none."""
    told, is_targeted = policy_of(held.fields)
    for name in (b"s-maxage", b"max-age"):
        if name in told:
            # 4.2.1: the first of several, or stale; and stale where it is invalid.
            return seconds(told[name][0]) or 0
    if not is_targeted and b"expires" in held.fields:
        expires = http_date(held.fields.get_all(b"expires")[0])
        return 0 if expires is None else max(0, expires - date_of(held))
    modified = http_date(held.fields.get(b"last-modified"))
    if modified is None or (held.status not in HEURISTICALLY_CACHEABLE and b"public" not in told):
        return 0
    # One second of tolerance for rounding.
    return min(HEURISTIC_FRACTION * (date_of(held) - modified) + 1, HEURISTIC_MOST_S)


def named(arguments: Iterable[bytes | None]) -> set[bytes]:
    """Return the field names in the arguments of qualified no-cache or private directives, lower-case."""
    return {
        name.strip(b' \t"').lower() for one in arguments if one is not None for name in one.split(b",") if name.strip()
    }


def varies_alike(held: Held, request: Request) -> bool:
    """Return True where the fields nominated by Vary match (section 4.1)."""
    for name in (held.fields.get(b"vary") or b"").lower().split(b","):
        if name.strip() == b"*":
            return False
        if name.strip() and _normal(held.asked, name.strip()) != _normal(request.fields, name.strip()):
            return False
    return True


def _normal(fields: Fields, name: bytes) -> object:
    value = fields.get(name)
    if value is None or not name.startswith(b"accept-"):
        return value if value is None else value.strip()
    return sorted(part.strip().lower() for part in value.split(b","))


def unstorable(request: Request, uri: bytes, status: int, fields: Fields) -> list[str]:
    """Return the violated requirements of section 3, none where the response may be stored."""
    told, is_targeted = policy_of(fields)
    asked = directives(request.fields.get(b"cache-control"))
    explicit = b"max-age" in told or b"s-maxage" in told or (not is_targeted and b"expires" in fields)
    understood = b"must-understand" in told and status in DEFINED
    same_place = fields.get(b"content-location") in (uri, request.request_target)
    rules = {
        "method (3)": request.method not in (b"GET", b"HEAD", b"POST"),
        "POST without freshness and its own Content-Location (9110 9.3.3)": request.method == b"POST"
        and not (explicit and same_place),
        "not final, or 304": status < 200 or status == 304,
        "206 without a range (3.3)": status == 206 and b"content-range" not in fields,
        "must-understand (5.2.2.3)": b"must-understand" in told and status not in DEFINED,
        "no-store in the request (5.2.1.5)": b"no-store" in asked,
        "no-store (5.2.2.5)": b"no-store" in told and not understood,
        "private (5.2.2.7)": None in told.get(b"private", []),
        "Authorization (3.5)": b"authorization" in request.fields
        and not told.keys() & {b"must-revalidate", b"public", b"s-maxage"},
        "neither freshness nor a status for it (3)": not explicit
        and b"public" not in told
        and status not in HEURISTICALLY_CACHEABLE,
    }
    return [rule for rule, applies in rules.items() if applies]


def forbidden(
    held: Held, request: Request, uri: bytes, now: float, *, failed: bool = False, error: int | None = None
) -> list[str]:
    """Return the rules that forbid reuse of `held` for a request without validation; none where it is permitted.

    `failed`: upstream did not respond. `error`: it responded with this 5xx.
    """
    told, _ = policy_of(held.fields)
    asked = directives(request.fields.get(b"cache-control"))
    least, _ = ages(held, now)
    excess = least - longest_lifetime(held)
    rules = {
        "another URI (4)": held.uri != uri,
        "method (4)": not _method_allows(held.method, request.method),
        "Vary (4.1)": not varies_alike(held, request),
        "no-cache (5.2.2.4)": None in told.get(b"no-cache", []),
        "invalidated (4.4), or a HEAD contradicts it (4.3.5)": held.outdated,
        "incomplete (3.3)": held.span is not None and not covers(held, request),
        "must be validated once stale (5.2.2.2, 5.2.2.8)": excess >= 0
        and bool(told.keys() & {b"must-revalidate", b"proxy-revalidate"}),
        "stale (4.2)": excess >= 0 and not _may_be_stale(told, asked, excess, failed, error),
        "the client's no-cache (5.2.1.4)": b"no-cache" in asked and not (failed or error),
        "the client's max-age (5.2.1.1)": not (failed or error) and _too_old(asked, told, least, excess),
        "the client's min-fresh (5.2.1.3)": not (failed or error) and _too_soon_stale(asked, -excess),
    }
    came_by = Request(held.method, request.request_target, held.asked)
    return [rule for rule, applies in rules.items() if applies] + unstorable(came_by, uri, held.status, held.fields)


def _method_allows(held: bytes, asked: bytes) -> bool:
    return asked == b"HEAD" or (asked == b"GET" and held != b"HEAD")


def _too_old(asked: Directives, told: Directives, least: float, excess: float) -> bool:
    if b"immutable" in told and excess < 0:
        # RFC 8246 section 2.1: a reload has max-age=0; immutable avoids its validation.
        return False
    limit = seconds(asked.get(b"max-age", [None])[0])
    if limit is None or int(least) <= limit:
        return False
    # Section 5.2.1.1: max-stale overrides max-age.
    return b"max-stale" not in asked


def _too_soon_stale(asked: Directives, remaining: float) -> bool:
    wanted = seconds(asked.get(b"min-fresh", [None])[0])
    return wanted is not None and remaining < wanted


def _may_be_stale(told: Directives, asked: Directives, excess: float, failed: bool, error: int | None) -> bool:
    """Return True where section 4.2.4 and RFC 5861 permit staleness; s-maxage does only with an explicit extension."""
    if (
        b"max-stale" in asked
        and b"s-maxage" not in told
        and (None in asked[b"max-stale"] or _within(asked, b"max-stale", excess))
    ):
        return True
    if failed or error is not None:
        permitted = _within(told, b"stale-if-error", excess) or _within(asked, b"stale-if-error", excess)
        return (permitted and (failed or error in ERRORS)) or (failed and b"s-maxage" not in told)
    return _within(told, b"stale-while-revalidate", excess)


def _within(given: Directives, name: bytes, excess: float) -> bool:
    """Return True where a directive's seconds suffice; a fraction of a second is ignored."""
    limit = seconds(given.get(name, [None])[0])
    return limit is not None and int(excess) <= limit


def covers(held: Held, request: Request) -> bool:
    """Return True where an incomplete response covers the single range of a request (section 3.3)."""
    if held.span is None:
        return True
    condition, tag = request.fields.get(b"if-range") or b"", held.fields.get(b"etag")
    if condition.endswith(b'"') and (condition != tag or condition.startswith(b"W/")):
        return False
    pieces = re.fullmatch(rb"bytes=(.+)", request.fields.get(b"range") or b"")
    if pieces is None or request.method != b"GET":
        return False
    return all(_covers_range(held.span, piece.strip()) for piece in pieces[1].split(b","))


def _covers_range(span: tuple[int, int, int | None], wanted: bytes) -> bool:
    match = re.fullmatch(rb"(\d*)-(\d*)", wanted)
    if match is None or not (match[1] or match[2]) or (match[1] and match[2] and int(match[2]) < int(match[1])):
        return False
    first, last, complete = span
    if match[1] and complete is not None and int(match[1]) >= complete:
        return False
    to_its_end = complete is not None and last + 1 == complete
    if not match[1]:
        return to_its_end and max(0, (complete or 0) - int(match[2])) >= first
    reaches = bool(match[2]) and int(match[2]) <= last
    return first <= int(match[1]) and (reaches or to_its_end)


def is_plainly_fresh(held: Held, now: float) -> bool:
    """Return True where a response is fresh in every reading: a single explicit time, far enough ahead."""
    plain = re.fullmatch(rb"(?:s-maxage|max-age)=(\d{1,9})", held.fields.get(b"cache-control") or b"")
    return (
        plain is not None
        and not held.fields.has_any((b"cdn-cache-control", b"expires"))
        and int(plain[1]) > ages(held, now)[1] + 1
    )


def must_reuse(held: Held, request: Request, now: float) -> bool:
    """Return True in the simple cases in which forwarding the request is useless."""
    if held.status != 200 or held.span is not None or held.outdated or held.method != b"GET":
        return False
    if request.method not in (b"GET", b"HEAD") or not varies_alike(held, request) or not is_plainly_fresh(held, now):
        return False
    if {name.lower() for name, _ in request.fields} - {b"host", b"x-v", b"accept-language"}:
        return False
    return not unstorable(Request(b"GET", b"/", held.asked), held.uri, 200, held.fields)


def freshened(held: Held, fields: Fields) -> Fields:
    """Return the fields of a stored response updated by those of another (section 3.2)."""
    except_for = PER_CONNECTION | PER_PROXY | connection_names(fields) | {b"content-length", b"content-range"}
    told, _ = policy_of(fields)
    except_for |= named(told.get(b"private", [])) | named(told.get(b"no-cache", []))
    lines = tuple((name, value) for name, value in fields if name.lower() not in except_for)
    return Fields(held.fields.without({name.lower() for name, _ in lines}).lines + lines)


def kept(fields: Fields) -> Fields:
    """Return the fields without those that qualified no-cache and private exclude from storing (section 3.1)."""
    told, _ = policy_of(fields)
    return fields.without(named(told.get(b"no-cache", [])) | named(told.get(b"private", [])))


def connection_names(fields: Fields) -> set[bytes]:
    """Return the names that Connection lists, lower-case (RFC 9110 section 7.6.1)."""
    return {name.strip().lower() for name in (fields.get(b"connection") or b"").split(b",")}


def may_freshen(held: Held, request: Request, fields: Fields) -> list[str]:
    """Return the rules that forbid a 304 with these fields to update `held` (section 4.3.4)."""
    tag = fields.get(b"etag")
    own = held.fields.get(b"etag")
    if tag is not None and not tag.startswith(b"W/"):
        return [] if tag == own else ["another strong validator"]
    reasons = [] if varies_alike(held, request) else ["Vary"]
    if tag is not None:
        return reasons if own == tag else [*reasons, "another weak validator"]
    if (modified := fields.get(b"last-modified")) is not None and modified != held.fields.get(b"last-modified"):
        return [*reasons, "another Last-Modified"]
    return reasons


def contradicted(held: Held, fields: Fields) -> bool:
    """Return True where a 200 to HEAD shows that `held` is outdated (section 4.3.5)."""
    names = [name for name in (b"etag", b"last-modified") if name in fields]
    if any(held.fields.get(name) != fields.get(name) for name in names):
        return True
    length = fields.get(b"content-length")
    whole = len(held.content) if held.span is None else held.span[2]
    return length is not None and whole is not None and int(length) != whole
