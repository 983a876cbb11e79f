"""Questions of the assignments that come with lab7: what a question and its explanation call the frame of a message."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from lab7.experiments.assignments.definition import find_assignment
from lab7.experiments.assignments.handout import handout_markdown
from lab7.experiments.assignments.variant import draw_variant
from lab7.experiments.harness.judge.frames import Endpoint, TcpSegment

SECRET = bytes(range(32))
DNS = find_assignment("dns-resolution")


def _exchange(query: int, response: int, transport: str) -> Any:
    """Return an exchange whose response has the flag AA."""
    ends = {"source": "10.53.2.9", "source_port": 53, "target": "10.53.9.53", "target_port": 5000}
    frames = {"query": (query, False), "response": (response, True)}
    return SimpleNamespace(
        **{name: SimpleNamespace(frame=at, aa=aa, transport=transport, **ends) for name, (at, aa) in frames.items()}
    )


def _frame(number: int, payload: bytes, source: str = "10.53.2.9", port: int = 53) -> Any:
    ends = (Endpoint(source, port), Endpoint("10.53.9.53", 5000))
    return SimpleNamespace(number=number, tcp=TcpSegment(*ends, 0, 0, payload))


def test_a_dns_message_in_several_segments_counts_at_its_last_frame() -> None:
    exchanges = [_exchange(11, 12, "udp"), _exchange(28, 32, "tcp")]
    # Frame 29 is an acknowledgement, and 31 of another server.
    frames = [_frame(29, b""), _frame(30, b"x"), _frame(31, b"x", "10.53.3.9"), _frame(32, b"x")]
    seen: Any = SimpleNamespace(dns=SimpleNamespace(exchanges=exchanges), frames=frames)
    key = next(one for one in DNS.questions if one.id == "q6").key(seen)
    assert key.answer.shown() == "12, 32"
    # The range of all segments is right, too; a frame of something else is not.
    assert [key.answer.score(said) for said in ("12, 32", "12, 30, 32", "12, 30-32", "12, 30")] == [1, 1, 0.5, 0.5]
    assert "in several segments is decoded in the last of them: frame 32." in key.explanation
    handout = " ".join(handout_markdown(draw_variant(DNS, SECRET, "s1"), {}).split())
    assert "a message in several TCP segments counts at the frame in which Wireshark decodes it" in handout


def test_the_answers_of_a_class_on_the_dns_differ() -> None:
    variants = [draw_variant(DNS, SECRET, f"s{number}").values for number in range(60)]
    parameters = [one["parameters"] for one in variants]
    assert len({one["servers"] for one in parameters}) == len({one["zones"] for one in parameters}) == 60
    zones = [one["zones"].split() for one in parameters]
    assert max(Counter(words[0] for words in zones).values()) <= 10
    assert len({tuple(one["others"]) for one in variants}) >= 30
    inside = sum(words[5].endswith(words[3]) for words in zones)
    assert 20 <= inside <= 40


@pytest.mark.parametrize("name", ["http-basics", "http-prediction", "network-tools"])
def test_a_hand_out_names_the_guide(name: str) -> None:
    handout = handout_markdown(draw_variant(find_assignment(name), SECRET, "s1"), {})
    assert "`docs/assignments.md`" in handout


def test_a_hand_out_with_an_answer_sheet_says_how_to_fill_it_in() -> None:
    handout = handout_markdown(draw_variant(DNS, SECRET, "s1"), {})
    for said in ("separated by commas", "`--hint q1`", "under this name"):
        assert said in handout
