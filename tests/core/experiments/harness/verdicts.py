"""Assertions on verdicts."""

from __future__ import annotations

from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.http.wire.page_load import PageLoad
from tests.core.experiments.harness.wire import Wire


def said(verdict: Verdict, word: str, *parts: str) -> Verdict:
    """Assert the word of a verdict and parts of its evidence, which must be a sentence; return the verdict."""
    assert verdict.verdict == word, verdict.evidence
    for part in parts:
        assert part in verdict.evidence
    assert verdict.evidence.endswith(".")
    return verdict


def holds(load: PageLoad, number: int, octets: bytes) -> bool:
    """Return whether a packet brought the first of these octets."""
    for conversation in load.conversations:
        for direction in (conversation.connection.from_client, conversation.connection.from_server):
            at = direction.stream.data.find(octets)
            if at >= 0 and direction.stream.span(at, at + 1)[0].frame == number:
                return True
    return False


def lose_one(wire: Wire) -> Wire:
    """Return the capture without the second packet that has a payload."""
    carrying = [place for place, (_, octets) in enumerate(wire.packets) if len(octets) > 60]
    del wire.packets[carrying[1]]
    return wire
