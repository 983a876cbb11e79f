"""Parser of tag lists `tag=value; tag=value` (RFC 6376 section 3.2): DKIM signatures, DKIM keys, DMARC records."""

import re

# RFC 6376 section 3.2: a tag name is ALPHA *ALNUMPUNC; values have printable characters and folding white space.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_VALUE = re.compile(r"[\x21-\x3a\x3c-\x7e \t\r\n]*\Z")
_BLANKS = " \t\r\n"


class TagError(ValueError):
    """Error for text that is not a valid tag list (`tag=value; tag=value`)."""


def parse_tags(text: str) -> dict[str, str]:
    """Parse a tag list (`tag=value; tag=value`) into {tag: value}, in order; raises TagError.

    White space around values is removed. A tag that occurs twice makes the whole list invalid.
    """
    tags: dict[str, str] = {}
    specs = text.split(";")
    if not specs[-1].strip(_BLANKS):
        specs.pop()
    for spec in specs:
        name, equals, value = spec.partition("=")
        name, value = name.strip(_BLANKS), value.strip(_BLANKS)
        if not equals or not _NAME.match(name) or not _VALUE.match(value):
            raise TagError(f"{spec.strip(_BLANKS)!r} is not of the form tag=value")
        if name in tags:
            raise TagError(f"the tag {name}= occurs twice")
        tags[name] = value
    if not tags:
        raise TagError("the tag list is empty")
    return tags


def without_blanks(value: str) -> str:
    """Remove all white space and line breaks from a base64 value (RFC 6376 section 3.5, tag b=)."""
    return re.sub(r"[ \t\r\n]+", "", value)


def words(value: str) -> list[str]:
    """Split the value of a colon-separated tag such as h= or q= into its words."""
    return [word.strip(_BLANKS) for word in value.split(":")]
