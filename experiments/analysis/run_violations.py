"""Violations of message rules (requirements of the RFCs) in the captures of a run: the first one of each rule."""

from __future__ import annotations

from pathlib import Path

from lab7.experiments.analysis.inspection import inspect
from lab7.experiments.analysis.rules.rule import Violation
from lab7.experiments.harness.capture.pcapng import CaptureReadError
from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.harness.results.result import MessageViolation

CAPTURES = "*.pcapng"


def find_violations(folder: Path) -> list[MessageViolation]:
    """Return the first violation of each rule in the captures of a folder; those of MUST requirements come first."""
    found: dict[str, MessageViolation] = {}
    for path in sorted(folder.glob(CAPTURES)):
        try:
            captured = read_capture(path)
        except CaptureReadError:
            # Skip incomplete captures, such as the file of a packet recorder that was killed.
            continue
        for one in inspect(captured).violations:
            found.setdefault(one.rule.id, _of(one, path.name))
    return sorted(found.values(), key=lambda one: one.level != "must")


def _of(one: Violation, capture: str) -> MessageViolation:
    return MessageViolation(
        rule=one.rule.id,
        level=one.rule.level,
        section=one.rule.section,
        statement=one.rule.statement,
        capture=capture,
        interface=one.interface,
        frame=one.frame,
        sender=one.sender,
        offset=one.offset,
        octets=one.octets.hex(),
        text=one.text,
        found=one.found,
        expected=one.expected,
        sentence=one.sentence,
    )
