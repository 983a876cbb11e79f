"""Authentication-Results header fields (RFC 8601): the receiving server's own field, and removal of forged fields.

    Authentication-Results: mail.example.com;
        spf=fail smtp.mailfrom=example.org;
        dkim=pass header.d=example.org header.s=2026 header.b=AuUoFEfD;
        dmarc=pass (p=reject) header.from=example.org

Mail programs trust a field that has the authserv-id of their own server. So the server removes every such field from
the messages that it accepts (section 5). Fields of other servers stay: they are about earlier hops.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from lab7.services.mail.authentication.dkim.canonicalization import HeaderField, parse_message, split, without_fields
from lab7.services.mail.authentication.dkim.verifier import Verification
from lab7.services.mail.authentication.dmarc.record import Policy
from lab7.services.mail.authentication.dmarc.verdict import Result, Verdict
from lab7.services.mail.authentication.spf.check import Outcome
from lab7.services.mail.mime.lexer import Lexer

FIELD_NAME = "Authentication-Results"
_TOKEN = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+(?:@[0-9A-Za-z._-]+)?\Z")
# An authserv-id: a token or a quoted string, as a parameter value of RFC 2045; comments are removed before.
_AUTHSERV_ID = re.compile(rb'[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))')
_SIGNATURE_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class Findings:
    """Results of SPF, DKIM and DMARC for a message; None or empty for a method that did not run."""

    spf: Outcome | None = None
    is_hello: bool = False
    dkim: Sequence[Verification] | None = None
    dmarc: Verdict | None = None


def results_field(authserv_id: str, findings: Findings) -> bytes:
    """Encode the results of SPF, DKIM and DMARC as an Authentication-Results field (RFC 8601 section 2.2).

    The field says `none` if no method ran.
    """
    results = [*_spf(findings), *_dkim(findings), *_dmarc(findings)] or ["none"]
    text = f"{FIELD_NAME}: {_value(authserv_id)};\r\n\t" + ";\r\n\t".join(results)
    return text.encode("ascii", "replace") + b"\r\n"


def _spf(findings: Findings) -> list[str]:
    outcome = findings.spf
    if outcome is None:
        return []
    identity = "helo" if findings.is_hello else "mailfrom"
    return [f"spf={outcome.result.value}{_comment(outcome.reason)} smtp.{identity}={_value(outcome.domain)}"]


def _dkim(findings: Findings) -> list[str]:
    if findings.dkim is None:
        return []
    if not findings.dkim:
        return ["dkim=none"]
    results = []
    for verification in findings.dkim:
        text = f"dkim={verification.result.value}{_comment(verification.reason)}"
        signature = verification.signature
        if signature is not None:
            # RFC 6008: header.b has the beginning of b=, to distinguish several signatures.
            beginning = base64.b64encode(signature.value).decode()[:_SIGNATURE_CHARACTERS]
            text += f" header.d={_value(signature.domain)} header.s={_value(signature.selector)}"
            text += f" header.b={_value(beginning)}"
        results.append(text)
    return results


def _dmarc(findings: Findings) -> list[str]:
    verdict = findings.dmarc
    if verdict is None:
        return []
    text = f"dmarc={verdict.result.value}"
    if verdict.policy is not None:
        text += f" (p={verdict.policy.value})"
    text += _comment(verdict.reason)
    if verdict.domain:
        text += f" header.from={_value(verdict.domain)}"
    # Property policy.dmarc of the IANA registry: the policy that applies after sp=, pct= and t=.
    if verdict.result is Result.FAIL:
        text += f" policy.dmarc={verdict.applied.value}"
    return [text]


def _value(text: str) -> str:
    """Encode a pvalue: unchanged if it is a token, else as a quoted string (RFC 8601 section 2.2)."""
    if _TOKEN.match(text):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", re.sub(r"[^ -~]", "?", text)) + '"'


def _comment(text: str) -> str:
    return f" ({re.sub(r'[^ -~]|[()]', '', text).replace(chr(92), '')})" if text else ""


def is_of(field: HeaderField, authserv_id: str) -> bool:
    """Return True for an Authentication-Results field of this server, or one whose authserv-id cannot be parsed."""
    if field.name != FIELD_NAME.lower():
        return False
    lexer = Lexer(field.value)
    lexer.skip_blanks()
    found = _AUTHSERV_ID.match(field.value, lexer.place)
    if found is None:
        return True
    written = re.sub(rb"\\(.)", rb"\1", found[1]) if found[1] is not None else found[2]
    return written.partition(b"(")[0].decode("latin-1").lower() == authserv_id.lower()


def without_results(content: bytes, authserv_id: str) -> bytes:
    """Remove a server's Authentication-Results fields from a message that arrives from outside (RFC 8601 section 5)."""
    header, _ = split(content)
    if FIELD_NAME.lower().encode() not in header.lower():
        return content
    return without_fields(content, lambda field: is_of(field, authserv_id))


def is_quarantined(content: bytes, authserv_id: str) -> bool:
    """Return True if the server's own Authentication-Results field has policy.dmarc=quarantine (delivery into Junk)."""
    for field in parse_message(content).fields:
        if is_of(field, authserv_id):
            return f"policy.dmarc={Policy.QUARANTINE.value}".encode() in field.value
    return False
