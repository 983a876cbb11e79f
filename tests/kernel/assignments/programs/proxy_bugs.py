"""Bugs of a student's caching proxy: the edits that make each, the stage that it fails, and its message."""

from __future__ import annotations

from pathlib import Path

from tests.kernel.assignments.programs.bug import Bug

SERVER = Path(__file__).with_name("proxy.py")
STORES_GET = 'return method == "GET" and ('
BUGS = (
    Bug(
        "hop-by-hop",
        (("if name.lower() not in OWN | named]", "if name.lower() not in OWN]"),),
        "fields",
        ("X-Mine-", "which Connection names", "RFC 9110 section 7.6.1"),
    ),
    Bug(
        "chunked",
        (
            ('"transfer-encoding", "upgrade"', '"upgrade"'),
            (
                'if method != "HEAD" and status != "304":',
                'if method != "HEAD" and status != "304" and not value(out, "transfer-encoding"):',
            ),
        ),
        "framing",
        ("not a chunk size", "RFC 9112 section 7.1"),
    ),
    Bug(
        "no-cache-at-all",
        ((STORES_GET, 'return method == "NONE" and ('),),
        "hit",
        ("to the origin, while the response with Cache-Control: max-age=600 is fresh", "RFC 9111 section 4.2:"),
    ),
    Bug(
        "no-store",
        (('if "no-store" in cache:', 'if "none" in cache:'),
         ('return "no-cache" not in cache and', 'return "no-store" in cache or "no-cache" not in cache and')),
        "storable",
        ("after a response with Cache-Control: no-store", "RFC 9111 section 5.2.2.5"),
    ),
    Bug(
        "private",
        (('if "private" in cache:', 'if "none" in cache:'),),
        "storable",
        ("after a response with Cache-Control: private", "RFC 9111 section 5.2.2.7"),
    ),
    Bug(
        "fresh-for-ever",
        (("and self.age() < lifetime(cache)", "and lifetime(cache) > 0"),),
        "validation",
        ("without a request to the origin", "s after one with Cache-Control: max-age=", "RFC 9111 section 4.2:"),
    ),
    Bug(
        "no-if-none-match",
        (('sent.append(("If-None-Match", value(stored.fields, "etag")))', "pass"),),
        "validation",
        ("no If-None-Match in the request for a stored response with ETag", "RFC 9111 section 4.3.1"),
    ),
    Bug(
        "age",
        (('*kept, ("Age", str(int(stored.age())))]', '*kept, ("Age", "0")]'),),
        "age",
        ("Age: 0 in a stored response of", "RFC 9111 section 5.1", "correct: Age: "),
    ),
    Bug(
        "query",
        (("        return url\n", '        return url.partition("?")[0]\n'),),
        "key",
        ("only the response for another query is stored", "RFC 9111 section 2:"),
    ),
    Bug(
        "vary",
        (("if all(value(stored.request, name) == value(request, name) for name in names):", "if True:"),),
        "key",
        ("only the response for another Accept-Language is stored", "RFC 9111 section 4.1"),
    ),
    Bug(
        "post",
        (
            ('if method == "GET" else None', 'if method != "HEAD" else None'),
            (STORES_GET, 'return method != "HEAD" and ('),
        ),
        "key",
        ("though only the origin answers POST", "RFC 9111 section 4:"),
    ),
    Bug(
        "error-for-ever",
        (
            ('if status != "200":', 'if status not in ("200", "503"):'),
            ("return method == \"GET\" and (", 'return method == "GET" and (status == "503" or '),
            ("return float(text) if text.isdigit() else 0.0", "return float(text) if text.isdigit() else 60.0"),
        ),
        "robustness",
        ("without a request to the origin, after 503", "RFC 9111 section 3:"),
    ),
    Bug(
        "stale",
        (('return "504", [("Content-Type", "text/plain")], b"the origin does not answer\\n"',
          'return self.reuse(stored) if stored else ("504", [], b"")'),),
        "robustness",
        ("status 200 to the request for", "while the origin fails", "RFC 9111 section 5.2.2.2"),
    ),
)  # fmt: skip
