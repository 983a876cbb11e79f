"""Questions of the assignments that come with lab7: what a question and its explanation call the frame of a message."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lab7.experiments.assignments.definition import find_assignment
from lab7.experiments.assignments.handout import handout_markdown
from lab7.experiments.assignments.variant import draw_variant

SECRET = bytes(range(32))
DNS = find_assignment("dns-resolution")


def _exchange(query: int, response: int, transport: str) -> Any:
    """Return an exchange whose response has the flag AA."""
    frames = {"query": (query, False), "response": (response, True)}
    return SimpleNamespace(
        **{name: SimpleNamespace(frame=frame, aa=aa, transport=transport) for name, (frame, aa) in frames.items()}
    )


def test_a_dns_message_in_several_segments_counts_at_its_last_frame() -> None:
    exchanges = [_exchange(11, 12, "udp"), _exchange(28, 32, "tcp")]
    seen: Any = SimpleNamespace(dns=SimpleNamespace(exchanges=exchanges))
    key = next(one for one in DNS.questions if one.id == "q6").key(seen)
    assert key.answer.shown() == "12, 32"
    assert "in several segments is decoded in the last of them: frame 32." in key.explanation
    handout = " ".join(handout_markdown(draw_variant(DNS, SECRET, "s1"), {}).split())
    assert "a message in several TCP segments counts at the frame in which Wireshark decodes it" in handout


@pytest.mark.parametrize("name", ["http-basics", "http-prediction", "network-tools"])
def test_a_hand_out_names_the_guide(name: str) -> None:
    handout = handout_markdown(draw_variant(find_assignment(name), SECRET, "s1"), {})
    assert "`docs/assignments.md`" in handout


def test_a_hand_out_with_an_answer_sheet_says_how_to_fill_it_in() -> None:
    handout = handout_markdown(draw_variant(DNS, SECRET, "s1"), {})
    for said in ("separated by commas", "`--hint q1`", "under this name"):
        assert said in handout
