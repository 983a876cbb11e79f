"""Eleven bugs of a student's HTTP server: the edits that make each, the stage that it fails, and its message."""

from __future__ import annotations

from pathlib import Path

from tests.kernel.assignments.programs.bug import Bug

SERVER = Path(__file__).with_name("http_server.py")
BUGS = (
    Bug("lf", (('EOL = "\\r\\n"', 'EOL = "\\n"'),), "get", ("ends in LF alone", "RFC 9112 section 2.2")),
    Bug(
        "text-mode",
        (("content = path.read_bytes()", 'content = path.read_text(errors="replace").encode()'),),
        "content",
        (".png at octet 0", "RFC 9110 section 9.3.1", "correct: 89 50 4e 47"),
    ),
    Bug(
        "characters",
        (('out["Content-Length"] = len(content)', 'out["Content-Length"] = len(content.decode(errors="ignore"))'),),
        "content",
        ("Content-Length ", "RFC 9110 section 8.6"),
    ),
    Bug(
        "date",
        (("return formatdate(time_s, usegmt=True)", 'return time.strftime("%Y-%m-%d %H:%M", time.gmtime(time_s))'),),
        "fields",
        ("an IMF-fixdate", "RFC 9110 section 5.6.7"),
    ),
    Bug(
        "head-content",
        (('if method != "HEAD":', "if True:"),),
        "head",
        ("behind the head of a response to HEAD", "RFC 9112 section 6.3"),
    ),
    Bug(
        "soft-404",
        (("status = 404", "status = 200"),),
        "missing",
        ("status 200 to GET of a target that does not exist", "RFC 9110 section 15.5.5", "404 Not Found"),
    ),
    Bug(
        "closes",
        (("    return keep\n", "    return False\n"),),
        "persistence",
        ("closes", "without Connection: close", "RFC 9112 section 9.6"),
    ),
    Bug(
        "always-304",
        (("return parsedate_to_datetime(since).timestamp() >= modified_s", "return True"),),
        "conditional",
        ("status 304 to If-Modified-Since with a date before", "RFC 9110 section 13.1.3"),
    ),
    Bug(
        "304-content",
        (
            ("if status == 200:", "if status in (200, 304):"),
            ("if status != 304:", "if True:"),
        ),
        "conditional",
        ("behind the head of a 304 response", "RFC 9112 section 6.3"),
    ),
    Bug(
        "one-read",
        (('while b"\\r\\n\\r\\n" not in data:', 'if b"\\r\\n\\r\\n" not in data:'),),
        "robustness",
        ("a response before the end of the request", "RFC 9112 section 2.2"),
    ),
    Bug(
        "traversal",
        (("inside = path.is_relative_to(root.resolve())", "inside = True"),),
        "robustness",
        ("status 200 to a target outside of the document root", "RFC 9110 section 17.3"),
    ),
)
