"""Inspection of a capture: the protocols in it, and the violations of their message rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from experiments.analysis.rules import dns, http1
from experiments.analysis.rules.rule import Rule, Violation
from experiments.harness.judge.frames import CaptureFile

Check = Callable[[CaptureFile, str], Iterator[Violation]]
# The check of each protocol, and its rules.
CHECKS: Mapping[str, tuple[Check, tuple[Rule, ...]]] = {
    "dns": (dns.check, dns.RULES),
    "http": (http1.check, http1.RULES),
}


@dataclass(frozen=True)
class Inspection:
    """The violations in a capture, in the order of their frames; each once, at the first interface that has it."""

    violations: tuple[Violation, ...]

    @property
    def errors(self) -> tuple[Violation, ...]:
        """The violations of rules that a message must keep."""
        return tuple(one for one in self.violations if one.rule.level == "must")


def rules() -> dict[str, Rule]:
    """Return all rules by id."""
    return {rule.id: rule for _, group in CHECKS.values() for rule in group}


def inspect(captured: CaptureFile, protocols: tuple[str, ...] = tuple(CHECKS)) -> Inspection:
    """Check every interface of a capture by the rules of these protocols."""
    found: dict[tuple[str, str, int, bytes], Violation] = {}
    for interface in captured.counts:
        for protocol in protocols:
            for one in CHECKS[protocol][0](captured, interface):
                key = (one.rule.id, one.sender, one.offset, one.octets)
                if key not in found or one.time_ns < found[key].time_ns:
                    found[key] = one
    return Inspection(tuple(sorted(found.values(), key=lambda one: (one.time_ns, one.frame, one.offset))))
