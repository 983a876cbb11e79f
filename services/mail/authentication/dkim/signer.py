"""DKIM signer: computes the DKIM-Signature field of an outgoing message (RFC 6376 section 5).

    signing_key = SigningKey("2026", "example.org", key)      selector (s=), domain (d=), private key
    sign(content, signing_key, now_s)                         b"DKIM-Signature: v=1; a=rsa-sha256; ..."

The signature covers the fields of SIGNED_FIELDS that the message has; fields with the same name are taken from the last
to the first. h= lists From once more than the message has From fields, so that a From field added later invalidates the
signature (section 8.15).
"""

from dataclasses import dataclass, replace

from lab7.services.mail.authentication.dkim.canonicalization import (
    RELAXED,
    BodyHashes,
    header_octets,
    parse_message,
)
from lab7.services.mail.authentication.dkim.keys import PrivateKey
from lab7.services.mail.authentication.dkim.signature_field import Signature, format_signature

# RFC 6376 section 5.4.1: fields to sign, which describe a message's content and author.
SIGNED_FIELDS = (
    "from",
    "reply-to",
    "subject",
    "date",
    "to",
    "cc",
    "message-id",
    "resent-date",
    "resent-from",
    "resent-to",
    "resent-cc",
    "in-reply-to",
    "references",
    "list-id",
    "list-help",
    "list-unsubscribe",
    "list-subscribe",
    "list-post",
    "list-owner",
    "list-archive",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Private key with its selector and domain, and the canonicalization of its signatures.

    `lifetime_s`: seconds from signing to expiration (x=); `with_length`: sign the present length of the body (l=), so
    that mailing lists, but also attackers, can append text.
    """

    selector: str
    domain: str
    key: PrivateKey
    header_method: str = RELAXED
    body_method: str = RELAXED
    lifetime_s: int | None = None
    with_length: bool = False


def sign(content: bytes, key: SigningKey, now_s: float) -> bytes:
    """Return the DKIM-Signature field for a message with CRLF line ends; the caller puts it before the first field."""
    message = parse_message(content)
    names = [field.name for field in message.fields]
    signed = [name for listed in SIGNED_FIELDS for name in [listed] * names.count(listed)]
    hashes = BodyHashes(message.body)
    length = len(hashes.canonical(key.body_method)) if key.with_length else None
    digest = hashes.digest(key.body_method, length)
    now = int(now_s)
    signature = Signature(
        key.key.algorithm,
        key.domain,
        key.selector,
        [*signed, "from"],
        digest or b"",
        header_method=key.header_method,
        body_method=key.body_method,
        length=length,
        signed_s=now,
        expires_s=None if key.lifetime_s is None else now + key.lifetime_s,
    )
    octets = header_octets(message.fields, signature.fields, format_signature(signature), key.header_method)
    return format_signature(replace(signature, value=key.key.sign(octets)))
