"""Cache-Control rules: file patterns with a field value, of which the first match applies (RFC 9111 section 5.2).

    rules = [parse_rule("/news/*=no-cache"), parse_rule("*=max-age=60, public")]
    cache_control(rules, "/news/today.html")    # b"no-cache"

A pattern is a shell pattern (fnmatch) for the path below the root; its `*` also matches slashes. Left out: the
semantics of the directives, which are for caches; every value that fits the grammar is sent.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

# RFC 9110 sections 5.6.2 and 5.6.4
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t \x21-\x7e])*"'
# RFC 9111 section 5.2: Cache-Control = #cache-directive, cache-directive = token [ "=" ( token / quoted-string ) ]
_DIRECTIVE = f"{_TOKEN}(?:=(?:{_TOKEN}|{_QUOTED}))?"
_VALUE = re.compile(rf"{_DIRECTIVE}(?:[\t ]*,[\t ]*{_DIRECTIVE})*")


@dataclass(frozen=True, slots=True)
class CacheRule:
    """A pattern for paths below the root, and the Cache-Control of the files that match."""

    pattern: str
    value: bytes


def parse_rule(text: str) -> CacheRule:
    """Parse PATTERN=VALUE, split at the first `=`; raises ValueError unless the value is a valid Cache-Control."""
    pattern, equals, value = text.partition("=")
    if not pattern or not equals:
        raise ValueError(f"{text!r} is not PATTERN=VALUE, such as '*.html=max-age=60'")
    if _VALUE.fullmatch(value) is None:
        raise ValueError(f"{value!r} is not a Cache-Control value, such as max-age=60 or no-cache")
    return CacheRule(pattern, value.encode("ascii"))


def cache_control(rules: Sequence[CacheRule], path: str) -> bytes | None:
    """Return the value of the first rule that matches a path below the root (`/a/b.html`), or None."""
    return next((rule.value for rule in rules if fnmatchcase(path, rule.pattern)), None)
