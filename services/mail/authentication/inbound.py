"""Authentication of a received message: SPF, DKIM and DMARC in order, and the decision to accept or reject it.

    steps = authenticate(content, Sender(...), Checks(dmarc=Mode.ENFORCE), "mail.example.com", now_s, percent)
    next(steps)                        Lookup(...), a DNS query
    steps.send(Answer(response))       the next Lookup, or StopIteration with a Decision

The Decision has the Authentication-Results field, here with the authserv-id mail.example.com, and the SMTP reply that
rejects the message (None: accepted). `percent` is a random number from 0 to 99 for the tag pct= of DMARC.

SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 7489) run in this order; Checks.dmarc enables all three, since DMARC
needs the other results. Without DMARC, an SPF failure may be a reason to reject (RFC 7208 section 8.4), a DKIM failure
never is (RFC 6376 section 6.1). The reply codes are those of RFC 7372, and of RFC 7489 section 10.3.
"""

from dataclasses import dataclass
from enum import Enum

from lab7.services.mail.address import Mailbox
from lab7.services.mail.authentication.authentication_results import Findings, results_field
from lab7.services.mail.authentication.dkim import verifier as dkim
from lab7.services.mail.authentication.dkim.canonicalization import parse_message
from lab7.services.mail.authentication.dmarc import verdict as dmarc
from lab7.services.mail.authentication.dmarc.record import Policy
from lab7.services.mail.authentication.lookup import Lookups
from lab7.services.mail.authentication.spf import check as spf
from lab7.services.mail.authentication.spf.record import Result as SpfResult
from lab7.services.mail.smtp.syntax import Reply

MULTIPLE_AUTHORS = Reply(550, "The From field does not name one domain", "5.7.1")
NO_LOOKUP = Reply(451, "The DNS records of the sender's domain are not available: try again later", "4.7.0")


class Mode(Enum):
    """Mode of a check: off, record the result only, or enforce (reject or quarantine messages that fail)."""

    OFF = "off"
    CHECK = "check"
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True)
class Checks:
    """The mode of each check (SPF, DKIM, DMARC) of received mail on a server."""

    spf: Mode = Mode.OFF
    dkim: bool = False
    dmarc: Mode = Mode.OFF

    @property
    def any(self) -> bool:
        """True if at least one check is enabled."""
        return self.dkim or self.spf is not Mode.OFF or self.dmarc is not Mode.OFF


@dataclass(frozen=True, slots=True)
class Sender:
    """SMTP sender of a message: client address, HELO name, and reverse-path (None: the null reverse-path)."""

    address: str
    hello: str
    reverse_path: Mailbox | None


@dataclass(frozen=True, slots=True)
class Decision:
    """Decision on a message: its Authentication-Results field, and the reply that rejects it (None: accepted)."""

    field: bytes
    reply: Reply | None
    findings: Findings

    @property
    def summary(self) -> dict[str, str]:
        """The result of each method (SPF, DKIM, DMARC) as values for the event log."""
        found = self.findings
        results = {"spf": found.spf.result.value} if found.spf is not None else {}
        if found.dkim is not None:
            results["dkim"] = " ".join(one.result.value for one in found.dkim) or "none"
        if found.dmarc is not None:
            results |= {"dmarc": found.dmarc.result.value, "applied": found.dmarc.applied.value}
        return results


def authenticate(
    content: bytes, sender: Sender, checks: Checks, authserv_id: str, now_s: float, percent: int
) -> Lookups[Decision]:
    """Check a message (CRLF line ends) by the enabled methods; return the Decision.

    `percent` is a random number from 0 to 99 for pct= (RFC 7489 section 6.6.4).
    """
    runs_dmarc = checks.dmarc is not Mode.OFF
    outcome = verifications = verdict = None
    if runs_dmarc or checks.spf is not Mode.OFF:
        outcome = yield from _check_spf(sender, authserv_id, now_s)
    if runs_dmarc or checks.dkim:
        verifications = yield from dkim.verify_all(content, now_s)
    if runs_dmarc:
        spf_domain = outcome.domain if outcome is not None and outcome.result is SpfResult.PASS else None
        signed = [
            one.signature.domain
            for one in verifications or ()
            if one.result is dkim.Result.PASS and one.signature is not None
        ]
        verdict = yield from dmarc.judge(parse_message(content), spf_domain, signed, percent)
    findings = Findings(outcome, sender.reverse_path is None, verifications, verdict)
    return Decision(results_field(authserv_id, findings), _refusal(findings, checks), findings)


def _check_spf(sender: Sender, receiver: str, now_s: float) -> Lookups[spf.Outcome]:
    """Check SPF for the reverse-path, or for the HELO name if the reverse-path is null (RFC 7208 section 2.4)."""
    client = spf.Client(spf.client_address(sender.address), sender.hello, receiver, now_s)
    path = sender.reverse_path
    return (yield from spf.check(client, path.local_part if path else "", path.domain if path else sender.hello))


def _refusal(findings: Findings, checks: Checks) -> Reply | None:
    if checks.dmarc is Mode.ENFORCE and findings.dmarc is not None:
        refusal = _dmarc_refusal(findings, findings.dmarc)
        if refusal is not None:
            return refusal
    if checks.spf is Mode.ENFORCE and findings.spf is not None and findings.spf.result is SpfResult.FAIL:
        outcome = findings.spf
        # RFC 7372 section 3.2, RFC 7208 section 8.4: the reply marks the explanation as text from the sender's domain.
        said = f"\nThe domain {outcome.domain} explains:\n{outcome.explanation}" if outcome.explanation else ""
        return Reply(550, f"SPF check of {outcome.domain} failed{said}", "5.7.23")
    return None


def _dmarc_refusal(findings: Findings, verdict: dmarc.Verdict) -> Reply | None:
    if verdict.result is dmarc.Result.PERMERROR:
        return MULTIPLE_AUTHORS
    if verdict.result is dmarc.Result.TEMPERROR:
        return NO_LOOKUP
    if verdict.result is not dmarc.Result.FAIL or verdict.applied is Policy.NONE:
        return None
    # After a temporary error of SPF or DKIM, DMARC may pass at a later attempt (RFC 7489 section 6.6.2).
    is_open = any(one.result is dkim.Result.TEMPERROR for one in findings.dkim or ())
    if is_open or (findings.spf is not None and findings.spf.result is SpfResult.TEMPERROR):
        return NO_LOOKUP
    if verdict.applied is Policy.REJECT:
        return Reply(550, f"Rejected by the DMARC policy of {verdict.domain}", "5.7.1")
    return None
