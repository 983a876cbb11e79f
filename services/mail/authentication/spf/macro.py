"""Macro expansion in SPF records and explanations (RFC 7208 section 7).

    %{ir}.%{v}._spf.%{d2}   with client 192.0.2.3 and domain email.example.com:   3.2.0.192.in-addr._spf.example.com

The value of the letter %{p} needs DNS queries, so the caller determines it (MacroValues.validated).
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

_EXPAND = re.compile(r"%(?:\{([A-Za-z])([0-9]*)([rR]?)([-.+,/_=]*)\}|([%_-]))")
_LITERALS = {"%": "%", "_": " ", "-": "%20"}
# RFC 7208 section 7.3: from a longer name, labels are removed on the left.
DOMAIN_OCTETS_MAX = 253
# Maximum octets of an expansion, above which it is truncated: longer names and replies are invalid.
EXPANDED_MAX = 4096


@dataclass(frozen=True, slots=True)
class MacroValues:
    """Values of the macro letters: client address, sender, current domain, HELO name, and values for explanations."""

    address: IPv4Address | IPv6Address
    local_part: str
    sender_domain: str
    domain: str
    hello: str
    receiver: str = "unknown"
    time_s: float = 0.0
    validated: str = "unknown"

    def value(self, letter: str) -> str:
        """Return the value of a macro letter, given in lower case."""
        dotted = isinstance(self.address, IPv4Address)
        nibbles = ".".join(self.address.exploded.replace(":", ""))
        values = {
            "s": f"{self.local_part}@{self.sender_domain}",
            "l": self.local_part,
            "o": self.sender_domain,
            "d": self.domain,
            "i": str(self.address) if dotted else nibbles,
            "p": self.validated,
            "v": "in-addr" if dotted else "ip6",
            "h": self.hello,
            "c": str(self.address),
            "r": self.receiver,
            "t": str(int(self.time_s)),
        }
        return values[letter]


def needs_validated_name(text: str) -> bool:
    """Return True if a macro string contains the macro letter p."""
    return any((found[1] or "") in ("p", "P") for found in _EXPAND.finditer(text))


def expand(text: str, values: MacroValues) -> str:
    """Expand the macros in a string that check_domain_spec() or check_explanation() has accepted."""
    return _EXPAND.sub(lambda found: _expanded(found, values), text)[:EXPANDED_MAX]


def expand_domain(text: str, values: MacroValues) -> str:
    """Expand a domain-spec; from a name that is too long, labels are removed on the left (RFC 7208 section 7.3)."""
    domain = expand(text, values).removesuffix(".")
    while len(domain) > DOMAIN_OCTETS_MAX and "." in domain:
        domain = domain.partition(".")[2]
    return domain


def _expanded(found: re.Match[str], values: MacroValues) -> str:
    if found[5]:
        return _LITERALS[found[5]]
    letter, digits, is_reversed, delimiters = found[1], found[2], bool(found[3]), found[4] or "."
    value = values.value(letter.lower())
    parts = re.split("[" + re.escape(delimiters) + "]", value)
    if is_reversed:
        parts.reverse()
    # A count keeps that many labels on the right; a count above their number keeps all labels (RFC 7208 section 7.1).
    # The digits of the count are compared by length first, since an attacker may write thousands of digits.
    if digits and len(digits) <= 3:
        parts = parts[-int(digits) :]
    result = ".".join(parts)
    # RFC 7208 section 7.3: the value of an upper-case macro letter is URL-escaped.
    return quote(result, safe="-._~", encoding="latin-1", errors="replace") if letter.isupper() else result
