"""HTTP cache decisions: may a stored response be reused (RFC 9111 sections 3 and 4)? Without a network or a store.

    python docs/examples/cache_decision.py

The stored response is fresh for 60 s; requests arrive at several ages and with several cache directives.
"""

from __future__ import annotations

from lab7.services.http.cache.decisions import DEFAULT_POLICY, Forward, Serve
from lab7.services.http.cache.lookup import decide
from lab7.services.http.cache.response import storable
from lab7.services.http.fields import Fields, format_date
from lab7.services.http.messages import Request, Response

URI, STORED_AT = b"http://www.example.com/", 1_700_000_000
# Age in seconds and Cache-Control of each request.
REQUESTS = [(10, b""), (10, b"no-cache"), (90, b""), (90, b"max-stale=60"), (90, b"only-if-cached")]


def main() -> None:
    """Store one response, and decide about requests at several times."""
    lines = (
        (b"Date", format_date(STORED_AT)),
        (b"Cache-Control", b"max-age=60"),
        (b"ETag", b'"v1"'),
        (b"Content-Length", b"100"),
    )
    response = Response(200, Fields(lines))
    stored = storable(Request(b"GET", b"/"), URI, response, STORED_AT, STORED_AT, DEFAULT_POLICY)
    assert stored is not None
    for age_s, directives in REQUESTS:
        request = Request(b"GET", b"/", Fields(((b"Cache-Control", directives),) if directives else ()))
        decision = decide(request, URI, [stored], STORED_AT + age_s)
        match decision:
            case Serve():
                text = f"serve, Age: {decision.age_s}, {'stale' if decision.is_stale else 'fresh'}"
            case Forward():
                tag = decision.request.fields.get(b"if-none-match") or b""
                text = f"forward, fwd={decision.reason.decode()}, If-None-Match: {tag.decode()}"
            case _:
                text = f"fail with {decision.response.status}"
        print(f"age {age_s:2} s  {directives.decode() or '-':15} {text}")


if __name__ == "__main__":
    main()
