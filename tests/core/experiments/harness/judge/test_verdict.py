"""Verdicts: frames in which several messages are, and the figures beside them."""

from __future__ import annotations

from lab7.experiments.harness.judge.verdict import figures, listed


def test_a_frame_with_several_messages_is_listed_once() -> None:
    assert listed([686, 686, 690]) == "686, 690"
    assert listed([1, 1, 2, 3], most=2) == "1, 2 and 1 more"


def test_equal_figures_are_all_listed() -> None:
    assert figures([57, 57, 60]) == "57, 57, 60"
