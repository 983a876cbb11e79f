"""Check of all application messages in a capture against the rules of the RFCs for their protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lab7.experiments.analysis.rules import dns, ftp, http1, imap, mail, mime, pop3, smtp
from lab7.experiments.analysis.rules.rule import Checked, Rule, Violation
from lab7.experiments.harness.judge.frames import CaptureFile

Check = Callable[[CaptureFile, str], Checked]
# Protocol -> (function that checks all messages of the protocol, the rules that the function applies).
CHECKS: Mapping[str, tuple[Check, tuple[Rule, ...]]] = {
    "dns": (dns.check, dns.RULES),
    "http": (http1.check, http1.RULES),
    "ftp": (ftp.check, ftp.RULES),
    "smtp": (smtp.check, smtp.RULES),
    "pop3": (pop3.check, pop3.RULES),
    "imap": (imap.check, imap.RULES),
    "mime": (mime.check, mime.RULES),
    "mail": (mail.check, mail.RULES),
}


@dataclass(frozen=True)
class Inspection:
    """Result of the check of a capture: violations, and numbers of messages checked.

    `violations`: in the order of frames; a violation captured at several interfaces is listed once, at the first.
    `messages`: number of messages checked at all interfaces, keyed by protocol; for line-based protocols, the number of
    lines.
    """

    messages: Mapping[str, int]
    violations: tuple[Violation, ...]

    @property
    def errors(self) -> tuple[Violation, ...]:
        """Return the violations of requirements (MUST), without those of recommendations (SHOULD)."""
        return tuple(one for one in self.violations if one.rule.level == "must")


def rules() -> dict[str, Rule]:
    """Return the rules of all protocols, keyed by rule id."""
    return {rule.id: rule for _, group in CHECKS.values() for rule in group}


def inspect(captured: CaptureFile, protocols: tuple[str, ...] = tuple(CHECKS)) -> Inspection:
    """Check all messages of the given protocols (default: all protocols) at every interface of a capture."""
    found: dict[tuple[str, str, int, bytes], Violation] = {}
    messages: dict[str, int] = {}
    for interface in captured.counts:
        for protocol in protocols:
            checked = CHECKS[protocol][0](captured, interface)
            messages[protocol] = messages.get(protocol, 0) + checked.messages
            for one in checked.violations:
                key = (one.rule.id, one.sender, one.offset, one.octets)
                if key not in found or one.time_ns < found[key].time_ns:
                    found[key] = one
    in_order = sorted(found.values(), key=lambda one: (one.time_ns, one.frame, one.offset))
    return Inspection({name: count for name, count in messages.items() if count}, tuple(in_order))
