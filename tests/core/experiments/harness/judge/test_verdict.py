"""Verdicts: frames in which several messages are, and the figures beside them."""

from __future__ import annotations

from lab7.experiments.harness.judge.verdict import citation, counted, figures, in_frames, listed


def test_a_frame_with_several_messages_is_listed_once() -> None:
    assert listed([686, 686, 690]) == "686, 690"
    assert listed([1, 1, 2, 3], most=2) == "1, 2 and 1 more"


def test_equal_figures_are_all_listed() -> None:
    assert figures([57, 57, 60]) == "57, 57, 60"


def test_one_frame_and_one_of_a_kind_are_in_the_singular() -> None:
    assert (in_frames([734]), in_frames([734, 734]), in_frames([1, 23])) == ("frame 734", "frame 734", "frames 1, 23")
    assert [counted(count, "query") for count in (0, 1, 2)] == ["0 queries", "1 query", "2 queries"]
    assert [counted(count, "connection") for count in (1, 2)] == ["1 connection", "2 connections"]
    assert [counted(count, "delay") for count in (1, 2)] == ["1 delay", "2 delays"]


def test_frames_of_other_captures_than_the_first_are_cited_with_its_name() -> None:
    assert citation({"a.pcapng": (3, 4)}, "a.pcapng") == "frames 3, 4"
    assert citation({"b.pcapng": (3,)}, "a.pcapng") == "frame 3 of b.pcapng"
    both = citation({"b.pcapng": (3, 4), "a.pcapng": (5,)}, "a.pcapng")
    assert both == "frames 3, 4 of b.pcapng; frame 5 of a.pcapng"
    assert citation({}, None) == ""
