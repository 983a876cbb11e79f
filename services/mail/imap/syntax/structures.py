"""Encoder of the FETCH items ENVELOPE, BODY and BODYSTRUCTURE (RFC 3501 section 7.4.2)."""

from collections.abc import Sequence

from lab7.services.mail.imap.syntax.encoder import NIL, nstring, parenthesized, string
from lab7.services.mail.mime.addresses import Address, parse_addresses
from lab7.services.mail.mime.header import Header
from lab7.services.mail.mime.lexer import Lexer
from lab7.services.mail.mime.parameters import Parametric, parse_parametric
from lab7.services.mail.mime.structure import Part


def envelope(header: Header) -> bytes:
    """Encode the ENVELOPE of a message (RFC 3501 section 7.4.2) from its header."""
    sender = _addresses(header, b"from")
    lists = [sender]
    # RFC 3501 section 7.4.2: Sender and Reply-To default to From if absent or empty.
    lists += [_addresses(header, name) or sender for name in (b"sender", b"reply-to")]
    lists += [_addresses(header, name) for name in (b"to", b"cc", b"bcc")]
    return parenthesized(
        [
            nstring(header.exact(b"date")),
            nstring(header.first(b"subject")),
            *(_address_list(address) for address in lists),
            nstring(header.exact(b"in-reply-to")),
            nstring(header.exact(b"message-id")),
        ]
    )


def _addresses(header: Header, name: bytes) -> list[Address]:
    return [address for value in header.all(name) for address in parse_addresses(value, to_error=True)]


def _address_list(addresses: Sequence[Address]) -> bytes:
    if not addresses:
        return NIL
    return b"(" + b"".join(_address(address) for address in addresses) + b")"


def _address(address: Address) -> bytes:
    return parenthesized(nstring(part) for part in (address.name, address.route, address.mailbox, address.host))


# RFC 3501 section 9: a multipart has at least one part; an empty one is encoded with an empty text part.
_EMPTY = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0'
# RFC 2045 section 6.1: a part without Content-Transfer-Encoding is 7bit.
_DEFAULT_ENCODING = b"7bit"


def body_structure(part: Part, extended: bool) -> bytes:
    """Encode the MIME structure of a message or part as BODY, or with `extended` as BODYSTRUCTURE."""
    if part.is_multipart:
        return _multipart(part, extended)
    kind, subtype = part.type_and_subtype
    fields = [string(kind), string(subtype), _parameters(_with_charset(part))]
    encoding = parse_parametric(part.header.first(b"content-transfer-encoding") or b"").value or _DEFAULT_ENCODING
    fields += [_value(part, b"content-id"), _value(part, b"content-description"), string(encoding)]
    fields.append(b"%d" % part.size_octets)
    if part.message is not None:
        fields += [envelope(part.message.header), body_structure(part.message, extended), b"%d" % part.lines]
    elif kind.lower() == b"text":
        fields.append(b"%d" % part.lines)
    if extended:
        fields.append(_value(part, b"content-md5"))
        fields += _extension(part)
    return parenthesized(fields)


def _multipart(part: Part, extended: bool) -> bytes:
    children = b"".join(body_structure(child, extended) for child in part.children)
    empty = _EMPTY + (b" NIL NIL NIL NIL)" if extended else b")")
    fields = [children or empty, string(part.type_and_subtype[1])]
    if extended:
        fields += [_parameters(part.content_type), *_extension(part)]
    return parenthesized(fields)


def _extension(part: Part) -> list[bytes]:
    return [_disposition(part), _languages(part), _value(part, b"content-location")]


def _value(part: Part, name: bytes) -> bytes:
    return nstring(part.header.exact(name) or None)


def _parameters(parametric: Parametric) -> bytes:
    if not parametric.parameters:
        return NIL
    return parenthesized(string(half) for pair in parametric.parameters for half in pair)


def _with_charset(part: Part) -> Parametric:
    """Return a part's Content-Type; charset=us-ascii is added to text without a charset (RFC 2046 section 4.1.2)."""
    content_type = part.content_type
    if part.type_and_subtype[0].lower() != b"text" or content_type.get(b"charset") is not None:
        return content_type
    return Parametric(content_type.value, [*content_type.parameters, (b"charset", b"us-ascii")])


def _disposition(part: Part) -> bytes:
    """Encode a part's Content-Disposition for BODYSTRUCTURE (RFC 2183 section 2), NIL if absent."""
    parametric = parse_parametric(part.header.exact(b"content-disposition") or b"")
    if not parametric.value:
        return NIL
    return parenthesized([string(parametric.value), _parameters(parametric)])


def _languages(part: Part) -> bytes:
    """Encode a part's Content-Language, a list of tags, without comments (RFC 3282 section 2), NIL if absent."""
    lexer = Lexer(part.header.first(b"content-language") or b"")
    tags: list[bytes] = []
    lexer.skip_blanks()
    while (tag := lexer.token()) is not None:
        tags.append(tag)
        lexer.skip_blanks()
        if not lexer.accept(b","):
            break
        lexer.skip_blanks()
    return parenthesized(string(tag) for tag in tags) if tags else NIL
