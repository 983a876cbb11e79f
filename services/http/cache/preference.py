"""Preference among stored responses that match a request, by the weights in its Accept fields (RFC 9111 section 4.1).

    Accept-Language: de, en;q=0.5     and     Content-Language: en     ->  500 (thousandths)

RFC 9110 sections 12.4.2 (weights), 12.5.1 (Accept), 12.5.3 (Accept-Encoding) and 12.5.4 (Accept-Language, with the
basic filtering of RFC 4647 section 3.3.1). A response without Content-Type or Content-Language gets the full weight, a
response without Content-Encoding the weight of identity. Left out: Accept-Charset, which section 12.5.2 deprecates.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from lab7.services.http.fields import Fields, list_members, lower_tokens, split_outside_quotes

# Weights are in thousandths, the precision of a weight (RFC 9110 section 12.4.2).
WEIGHT_MOST = 1000
VALUES_KEPT = 1024

_WEIGHT = re.compile(rb"(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
# RFC 9110 sections 8.4.1.1 and 8.4.1.3: obsolete names of content codings.
_CODINGS = {b"x-gzip": b"gzip", b"x-compress": b"compress"}

# Member of a list field with weights: name or range, parameters, and weight in thousandths.
Weighted = tuple[bytes, frozenset[bytes], int]


def preference(fields: Fields, request_fields: Fields, names: Iterable[bytes]) -> int:
    """Return a request's preference for a response with `fields`: the product of its weights, each in thousandths.

    `names` are the lower-case names of the request fields to consider. Only Accept, Accept-Encoding and Accept-Language
    have weights; other names are ignored.
    """
    product = 1
    for name in names:
        rate = _RATES.get(name)
        value = request_fields.get(name)
        if rate is not None:
            product *= WEIGHT_MOST if value is None else rate(fields, weighted(value))
    return product


@lru_cache(maxsize=VALUES_KEPT)
def weighted(value: bytes) -> tuple[Weighted, ...]:
    """Parse a list field with weights; return (name, parameters, weight in thousandths) for each member, in lower case.

    An invalid weight counts as 1.
    """
    members = []
    for member in list_members(value.lower()):
        name, *parameters = _parts(member)
        weights = [parameter[2:] for parameter in parameters if parameter.startswith(b"q=")]
        others = frozenset(parameter for parameter in parameters if parameter and not parameter.startswith(b"q="))
        members.append((name, others, _weight(weights[0]) if weights else WEIGHT_MOST))
    return tuple(members)


def _parts(member: bytes) -> list[bytes]:
    """Split a list member at its semicolons into its name and its parameters."""
    return [part.strip(b" \t") for part in split_outside_quotes(member, b";")]


def _weight(text: bytes) -> int:
    if _WEIGHT.fullmatch(text) is None:
        return WEIGHT_MOST
    whole, _, decimals = text.partition(b".")
    return int(whole) * WEIGHT_MOST + int(decimals.ljust(3, b"0"))


def _type_weight(fields: Fields, ranges: tuple[Weighted, ...]) -> int:
    """Return the weight of Content-Type in Accept, by the most specific matching media range; 0 if none matches."""
    value = fields.get(b"content-type")
    if value is None:
        return WEIGHT_MOST
    media_type, *parameters = _parts(value.lower().strip())
    best, found = (-1, -1), 0
    for name, wanted, weight in ranges:
        if name == media_type:
            rank = 2
        elif name == media_type.partition(b"/")[0] + b"/*":
            rank = 1
        elif name == b"*/*":
            rank = 0
        else:
            continue
        if wanted.issubset(parameters) and (rank, len(wanted)) > best:
            best, found = (rank, len(wanted)), weight
    return found


def _coding_weight(fields: Fields, ranges: tuple[Weighted, ...]) -> int:
    """Return the lowest weight of a response's content codings in Accept-Encoding, 0 if one is not acceptable."""
    weights = {_CODINGS.get(name, name): weight for name, _, weight in ranges}
    codings = [_CODINGS.get(coding, coding) for coding in lower_tokens(fields.get(b"content-encoding"))]
    if codings:
        return min(weights.get(coding, weights.get(b"*", 0)) for coding in codings)
    # Without a coding a response is acceptable unless it is excluded, and less preferred than a coding that is listed.
    return weights.get(b"identity", weights.get(b"*", 1))


def _language_weight(fields: Fields, ranges: tuple[Weighted, ...]) -> int:
    """Return the highest weight of the content's languages in Accept-Language, 0 if no language range matches.

    The weight of a language is that of its longest matching range.
    """
    languages = lower_tokens(fields.get(b"content-language"))
    # RFC 9110 section 8.5: without Content-Language, the content is for all audiences.
    return max((_of_language(language, ranges) for language in languages), default=WEIGHT_MOST)


def _of_language(language: bytes, ranges: tuple[Weighted, ...]) -> int:
    found = [(len(name), weight) for name, _, weight in ranges if _is_within(language, name)]
    others = [(0, weight) for name, _, weight in ranges if name == b"*"]
    return max(found or others, default=(0, 0))[1]


def _is_within(language: bytes, language_range: bytes) -> bool:
    return language == language_range or language.startswith(language_range + b"-")


_RATES = {b"accept": _type_weight, b"accept-encoding": _coding_weight, b"accept-language": _language_weight}
