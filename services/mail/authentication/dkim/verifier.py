"""DKIM verifier: checks the DKIM-Signature fields of a received message (RFC 6376 section 6, RFC 8463).

    steps = verify_all(content, now_s)
    next(steps)                        Lookup("2026._domainkey.example.org.", TXT), a DNS query for the key record
    steps.send(Answer(response))       the next Lookup, or StopIteration with [Verification(PASS, ...)]

A message whose signature does not verify counts as unsigned, which is no reason to reject the message (section 6.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from lab7.services.mail.authentication.dkim.canonicalization import (
    BodyHashes,
    HeaderField,
    ParsedMessage,
    header_octets,
    parse_message,
)
from lab7.services.mail.authentication.dkim.keys import verify
from lab7.services.mail.authentication.dkim.signature_field import (
    FIELD_NAME,
    KeyRecord,
    KeyRecordError,
    Signature,
    SignatureError,
    check_key_record,
    parse_key_record,
    parse_signature,
)
from lab7.services.mail.authentication.lookup import Lookups, TemporaryLookupError, domain_name, txt_records

# Maximum number of signatures verified per message; each costs a DNS query and a hash (RFC 6376 section 8.4).
SIGNATURES_MAX = 10
# Accepted difference in seconds between signer's clock and verifier's for t=, as in OpenDKIM.
CLOCK_SKEW_S = 300


class Result(Enum):
    """Result of a signature's verification, as in Authentication-Results (RFC 8601 section 2.7.1)."""

    PASS = "pass"
    FAIL = "fail"
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of the verification of one signature.

    `signature` is None if the signature field is invalid; `reason` is a text if the result is not pass.
    """

    result: Result
    signature: Signature | None
    reason: str = ""


def verify_all(content: bytes, now_s: float) -> Lookups[list[Verification]]:
    """Verify the signatures of a message with CRLF line ends; return a Verification for each, topmost first.

    Only the first SIGNATURES_MAX signatures are verified. The list is empty if the message has no signature.
    """
    message = parse_message(content)
    hashes = BodyHashes(message.body)
    results: list[Verification] = []
    for field in message.named(FIELD_NAME.lower())[:SIGNATURES_MAX]:
        results.append((yield from _verify_field(message, hashes, field, now_s)))
    return results


def _verify_field(
    message: ParsedMessage, hashes: BodyHashes, field: HeaderField, now_s: float
) -> Lookups[Verification]:
    try:
        signature = parse_signature(field.octets.partition(b":")[2])
    except SignatureError as error:
        return Verification(Result.NEUTRAL, None, str(error))
    if signature.expires_s is not None and now_s > signature.expires_s:
        return Verification(Result.FAIL, signature, "signature expired")
    if signature.signed_s is not None and signature.signed_s > now_s + CLOCK_SKEW_S:
        return Verification(Result.FAIL, signature, "signature from the future")
    try:
        records = yield from _key_records(signature)
    except TemporaryLookupError as error:
        return Verification(Result.TEMPERROR, signature, str(error))
    verification = Verification(Result.PERMERROR, signature, "no key record")
    # RFC 6376 section 6.1.2 leaves the case of several key records undefined: the first that verifies decides.
    for text in records:
        verification = _verify_with(message, hashes, field, signature, text)
        if verification.result is Result.PASS:
            break
    return verification


def _key_records(signature: Signature) -> Lookups[Sequence[bytes]]:
    name = domain_name(signature.key_name)
    return [] if name is None else (yield from txt_records(name))[:SIGNATURES_MAX]


def _verify_with(
    message: ParsedMessage, hashes: BodyHashes, field: HeaderField, signature: Signature, text: bytes
) -> Verification:
    """Verify a signature with the public key in one DKIM key record; return the result (RFC 6376 section 6.1.3)."""
    try:
        record = parse_key_record(text)
        check_key_record(record, signature)
        digest = hashes.digest(signature.body_method, signature.length)
        if digest is None:
            return _failed(signature, record, "the body is shorter than l=")
        if digest != signature.body_hash:
            return _failed(signature, record, "body hash did not verify")
        own = [other for other in message.fields if other is not field]
        octets = header_octets(own, signature.fields, field.octets, signature.header_method)
        if not verify(signature.algorithm, record.key, octets, signature.value):
            return _failed(signature, record, "signature did not verify")
    except KeyRecordError as error:
        return Verification(Result.PERMERROR, signature, str(error))
    return Verification(Result.PASS, signature)


def _failed(signature: Signature, record: KeyRecord, reason: str) -> Verification:
    return Verification(Result.FAIL, signature, reason + (", test mode" if record.is_testing else ""))
