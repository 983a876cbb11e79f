"""Deviation of a program under test: a violation of a rule, reported with its octets."""

from __future__ import annotations

import re

from lab7.experiments.analysis.rules.rule import Violation
from lab7.experiments.harness.judge.verdict import Contradiction

# The rule in the sentence of a violation (Violation.sentence).
_RULE = re.compile(r" \((?P<section>RFC [0-9]+[^:()]*): (?P<statement>.*?)\); correct: ")


class DeviationError(Contradiction):
    """A fault of the program under test, as a violation of a rule."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(explained(violation), violation.frame)


def explained(violation: Violation) -> str:
    """Return a violation as feedback: its sentence, and its octets in hexadecimal and as text."""
    octets = f" Octets: {violation.hex} ({violation.text})." if violation.octets else ""
    return f"{violation.sentence}{octets}"


def rule_of(feedback: str) -> str:
    """Return the RFC section and the statement of the rule in feedback; empty if the feedback cites no violation."""
    found = _RULE.search(feedback)
    return f"{found['section']}: {found['statement']}." if found else ""
