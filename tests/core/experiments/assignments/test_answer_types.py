"""Answers: the spellings of a right answer, wrong answers, and values that are no answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.experiments.assignments.answer_types import (
    Address,
    Answer,
    AnswerError,
    Choice,
    Frames,
    Given,
    Listing,
    Number,
    Text,
    yes_no,
)

RTT = Number(0.08, "time", "ms", tolerance=0.01)
SIZE = Number(12_345, "size", "bytes")
PORT = Number(8080)

MILLISECONDS = ("80", "80 ms", "80.0ms", "0.08 s", "8e-2s", "80000 us", "80000 \u00b5s", " 80 MS ", "80,4 ms")
WIRESHARK_TIMES = (
    "694 seconds", "694.000000000 seconds", "694 (11 minutes, 34 seconds)", "694 seconds (11 minutes, 34 seconds)",
    "694000 milliseconds", "694000 msec", "6.94e8 microseconds", "694e9 nanoseconds", "11.5666667 minutes",
    "694 Seconds", "694 s (0.1928 hours)", "TTL: 694 (11 minutes, 34 seconds)",
)  # fmt: skip
OCTETS = ("12345", "12,345", "12 345", "12'345", "12_345 bytes", "12.345 kB", "0x3039", "98760 bit")
NAMES = ("www.example.com", "www.example.com.", "WWW.Example.COM")
FRAMES: tuple[Given, ...] = (
    "4, 7, 8, 9", "4 7-9", "9,8,7,4", ["4", "7-9"], "4; 7 to 9", "#4, 7..9", "frames 4 and 7 - 9",
)  # fmt: skip
RIGHT: list[tuple[Answer, Given]] = [
    *((RTT, said) for said in MILLISECONDS),
    *((Number(694, "time", "s", slack=0.01), said) for said in WIRESHARK_TIMES),
    (RTT, "80.000000 milliseconds"),
    (RTT, "0.080000000 seconds"),
    (Number(86_400, "time", "s"), "86400 (1 day)"),
    (Number(28), "28 (0x1c)"),
    *((Number(8e6, "rate", "mbit/s"), said) for said in ("8000000 bits/s", "8000000 bits per second")),
    *((SIZE, said) for said in OCTETS),
    *((SIZE, said) for said in ("12.345 kilobytes", "12345 bytes (98760 bits)", "12345 bytes (12 kB)")),
    *((PORT, said) for said in ("8080", "0x1f90", "0X1F90", "+8080", "8080.0")),
    *(
        (PORT, said)
        for said in ("8080 requests", "8080 round trips", "Age: 8080", "port: 8080", "8080 TCP connections")
    ),
    *((Number(404), said) for said in ("404 Not Found", "HTTP/1.1 404 Not Found", "HTTP/2 404", "Status: 404")),
    (SIZE, "Content-Length: 12345"),
    *((Text("404 Not Found"), said) for said in ("HTTP/1.1 404 Not Found", "http/1.1 404 not found")),
    *((Text("2794"), said) for said in ("X-Course: 2794", "x-course:  2794")),
    (Text("text: with a colon"), "text: with a colon"),
    (Text("HTTP/1.1"), "HTTP/1.1"),
    (Text("www.example.com", name=True), "Host: www.example.com"),
    *((Frames((8,)), said) for said in ("No. 8", "no 8", "Frame: 8", "frame no. 8", "Frame number 8", "#8")),
    *((Text("200 OK"), said) for said in ("200 OK", "200 ok", " 200  OK ", '"200 OK"')),
    *((Text("www.example.com", name=True), said) for said in NAMES),
    *((Text("Paris", others=("Lutetia",)), said) for said in ("paris", "lutetia")),
    *((Address("2001:db8::1"), said) for said in ("2001:db8::1", "2001:DB8:0:0::1", "[2001:db8::1]")),
    (Address("10.0.0.1"), " 10.0.0.1 "),
    *((Address("10.0.0.1"), said) for said in ("10.0.0.1.", "ns.uk 10.0.0.1", "ns.uk. (10.0.0.1)")),
    *(
        (Listing((Address("10.0.0.1"), Address("10.0.0.2")), ordered=True), said)
        for said in ("10.0.0.1 10.0.0.2", "10.0.0.1 -> 10.0.0.2", "a 10.0.0.1 \u2192 b 10.0.0.2", "10.0.0.1, 10.0.0.2.")
    ),
    (Listing((Text("<a@b>"), Text("c"))), "<a@b>, c"),
    *((Choice("UDP", ("TCP", "UDP")), said) for said in ("UDP", "udp", "b", "B)", "b.")),
    *((Choice("UDP", ("TCP", "UDP")), said) for said in ("b) UDP", "(b) udp", "b. UDP", "b UDP", "b: UDP", "(b)")),
    *((Choice("A", ("I", "A")), said) for said in ("A", "b", "b) A")),
    *((yes_no(True), said) for said in ("yes", "Yes", "a", True)),
    *((Frames((4, 7, 8, 9)), said) for said in FRAMES),
    (Frames((4,)), "frame 4"),
    (Frames((4, 7, 8), least=1), "7"),
    (Listing((Text("a"), Text("b"))), ["b", "a"]),
    (Listing((Text("a"), Text("b"))), "a, b"),
    (Listing((Text("a"), Text("b"))), "b; a"),
    (Listing((Text("a"), Text("b")), ordered=True), ["a", "b"]),
]
WRONG: list[tuple[Answer, Given]] = [
    *((RTT, said) for said in ("80 s", "82", "-80", "0.08")),
    (SIZE, "12.345"),
    (Text("GET", case=True), "get"),
    (Text("2794"), "X-Course: 2795"),
    (Number(404), "HTTP/1.1 200 OK"),
    (Text("www.example.com", name=True), "example.com"),
    (Address("10.0.0.1"), "10.0.0.2"),
    *((Choice("UDP", ("TCP", "UDP")), said) for said in ("a", "a) TCP")),
    (yes_no(True), "no"),
    (Frames((4,)), "5"),
    (Frames((4, 7, 8), least=1), "7, 9"),
    (Listing((Text("a"), Text("b")), ordered=True), ["b", "a"]),
]
UNFIT_NUMBERS: tuple[Given, ...] = (
    "", "eighty", "80 parsecs", ["80"], None, True, "nan", "inf", "1e999", "80 ms or so",
)  # fmt: skip
UNFIT: list[tuple[Answer, Given]] = [
    *((RTT, said) for said in UNFIT_NUMBERS),
    *((PORT, said) for said in ("8 thousand", "8080 ms", "8080 bytes", "8 k", "8080 or 8081", "8080 or more", "one")),
    (RTT, "80 requests"),
    *(
        (RTT, said)
        for said in ("80 ms (100 ms)", "80 (or 90)", "80 (", "(80)", "80 ms (about)", "80 ms (80 ms) (80 ms)")
    ),
    (Text("www.example.com", name=True), "www.example.com and www.example.org"),
    (Frames((8,)), "no"),
    (Address("10.0.0.1"), "10.0.0"),
    (Address("10.0.0.1"), "10.0.0.1 or 10.0.0.2"),
    *((Choice("UDP", ("TCP", "UDP")), said) for said in ("c", "a) UDP", "b TCP", "UDP or TCP")),
    *((Frames((4,)), said) for said in ("", "four", "1-100000000", "1" * 5000)),
]


def is_one_sentence(error: ValueError) -> None:
    assert "\n" not in str(error)


@pytest.mark.parametrize(("answer", "said"), RIGHT)
def test_spellings_of_the_right_answer(answer: Answer, said: Given) -> None:
    assert answer.score(said) == 1


@pytest.mark.parametrize(("answer", "said"), WRONG)
def test_wrong_answers(answer: Answer, said: Given) -> None:
    assert answer.score(said) == 0


@pytest.mark.parametrize(("answer", "said"), UNFIT)
def test_values_that_are_no_answer(answer: Answer, said: Given) -> None:
    with pytest.raises(AnswerError):
        answer.score(said)


def test_a_part_of_the_answer_earns_a_part() -> None:
    assert Frames((4, 7, 8, 9)).score("4, 7") == 0.5
    assert Frames((4, 7)).score("4, 5") == 0
    assert Listing((Text("a"), Text("b"))).score(["a"]) == 0.5
    assert Listing((Text("a"), Text("b"))).score(["a", "b", "c"]) == 0.5


@given(st.floats(1e-6, 1e6), st.sampled_from(["s", "ms", "us"]))
def test_the_key_earns_full_points(value: float, unit: str) -> None:
    answer = Number(value, "time", unit, tolerance=1e-5)
    assert answer.score(answer.shown()) == 1


@given(st.text(max_size=60))
def test_any_text_is_scored_or_refused(text: str) -> None:
    for answer in (
        RTT,
        SIZE,
        Text("x"),
        Address("::1"),
        Frames((1, 2)),
        Choice("x", ("x", "y")),
        Listing((Text("a"),)),
    ):
        try:
            assert 0 <= answer.score(text) <= 1
        except AnswerError as error:
            is_one_sentence(error)


def test_frames_beside_the_true_ones_are_neither_right_nor_wrong() -> None:
    answer = Frames((8, 32), beside=(30, 31, 32))
    assert [answer.score(said) for said in ("8, 32", "8, 30-32", "8, 31", "8, 30-33")] == [1, 1, 0.5, 0.5]
