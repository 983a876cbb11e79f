"""Deviation of a program under test from a protocol rule, as feedback for students: rule, octets, correct form."""

from __future__ import annotations

import re

from lab7.experiments.analysis.rules.rule import Violation
from lab7.experiments.harness.judge.verdict import Contradiction

# RFC section and statement of a rule in the sentence about a violation (Violation.sentence).
_RULE = re.compile(r" \((?P<section>RFC [0-9]+[^:()]*): (?P<statement>.*?)\); correct: ")


class DeviationError(Contradiction):
    """Violation of a protocol rule by the program under test; the message has rule, octets and correct form."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(explained(violation), violation.frame)


def explained(violation: Violation) -> str:
    """Return a rule violation as feedback text: the sentence about it, then the octets in hexadecimal and as text."""
    octets = f" Octets: {violation.hex} ({violation.text})." if violation.octets else ""
    return f"{violation.sentence}{octets}"


def rule_of(feedback: str) -> str:
    """Return the RFC section and statement of the rule that a feedback text cites; empty if it cites no rule."""
    found = _RULE.search(feedback)
    return f"{found['section']}: {found['statement']}." if found else ""
