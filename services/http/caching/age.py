"""How old a stored response is (RFC 9111 sections 4.2.3 and 5.1).

corrected_initial_age = max(apparent_age, age_value + response_delay)
current_age = corrected_initial_age + now - response_time
"""

from math import floor

from services.http.caching.delta import delta_seconds
from services.http.caching.stored import StoredResponse
from services.http.dates import parse_date
from services.http.fields import Fields


def age_value(fields: Fields) -> int:
    """Return the Age field's seconds, 0 where it is absent or not valid (RFC 9111 section 5.1)."""
    lines = fields.get_all(b"age")
    if not lines:
        return 0
    # Section 5.1: of a list, or of several lines, the first member counts.
    return delta_seconds(lines[0].partition(b",")[0].strip(b" \t")) or 0


def http_date(value: bytes | None, now: float) -> int | None:
    """Return a date in seconds since 1970 UTC, None where there is none; `now` places a two-digit year."""
    if value is None:
        return None
    date = parse_date(value, now)
    # RFC 9111 section 4.2: caches match dates case-insensitively.
    return parse_date(value.title().replace(b"Gmt", b"GMT"), now) if date is None else date


def date_value(fields: Fields, response_time: float) -> int:
    """Return when the response was generated: its Date, or the time of its receipt (RFC 9110 section 6.6.1)."""
    date = http_date(fields.get(b"date"), response_time)
    return floor(response_time) if date is None else date


def corrected_initial_age(stored: StoredResponse) -> float:
    """Return how old the response was when it came, in seconds (RFC 9111 section 4.2.3)."""
    fields = stored.response.fields
    # A Date has whole seconds: of the clock's fraction of a second nothing was spent on the way.
    apparent_age = max(0, floor(stored.response_time) - date_value(fields, stored.response_time))
    # A clock that is set back while a response is on its way makes nothing younger.
    response_delay = max(0.0, stored.response_time - stored.request_time)
    corrected_age_value = age_value(fields) + response_delay
    return max(apparent_age, corrected_age_value)


def current_age(initial_age: float, response_time: float, now: float) -> float:
    """Return the age at `now`, in seconds, never below `initial_age` (RFC 9111 section 4.2.3)."""
    resident_time = now - response_time
    return initial_age + max(0.0, resident_time)
