"""Draws: the same for the same triple, others for others, within their bounds."""

from __future__ import annotations

from collections import Counter

import pytest

from lab7.experiments.assignments.draw import Draw, SecretError

SECRET = bytes(range(32))


def test_a_known_vector() -> None:
    """HMAC-SHA-256 of the block number, a zero octet, and the three parts with their lengths; computed with OpenSSL."""
    draw = Draw(SECRET, "http-basics", "s1")
    # printf '\0\0\0\0\0\0\0\0\x0bhttp-basics\0\0\0\x02s1\0\0\0\x05nonce' |
    #   openssl dgst -sha256 -mac HMAC -macopt hexkey:000102...1f
    assert draw.nonce == "11ab45ab7d8faa12960d313f"


def test_every_part_matters() -> None:
    draws = [
        Draw(SECRET, "a", "b"), Draw(SECRET, "b", "a"), Draw(SECRET, "ab", ""), Draw(SECRET, "", "ab"),
        Draw(SECRET + b"x", "a", "b"),
    ]  # fmt: skip
    assert len({draw.octets("x", 16) for draw in draws}) == len(draws)
    assert draws[0].octets("x", 16) != draws[0].octets("y", 16)


def test_values_are_within_their_bounds_and_all_occur() -> None:
    draws = [Draw(SECRET, "a", f"s{number}") for number in range(400)]
    numbers = Counter(draw.number("rtt", 20, 60, step=10) for draw in draws)
    assert set(numbers) == {20, 30, 40, 50, 60}
    assert min(numbers.values()) > 40
    assert {draw.choice("c", "xyz") for draw in draws} == set("xyz")
    assert len({tuple(draw.shuffled("s", range(4))) for draw in draws}) == 24
    assert all(sorted(draw.shuffled("s", range(9))) == list(range(9)) for draw in draws)
    assert all(len(set(draw.sample("s", range(9), 4))) == 4 for draw in draws)
    assert all(draw.word("w").isalpha() and len(draw.word("w")) == 6 for draw in draws)


def test_two_students_differ_in_their_nonce_and_seed() -> None:
    draws = [Draw(SECRET, "a", f"s{number}") for number in range(1000)]
    assert len({draw.nonce for draw in draws}) == len({draw.seed for draw in draws}) == 1000


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(SecretError, match="openssl rand"):
        Draw(b"password", "a", "b")


def test_more_than_there_are_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="5 of 4"):
        Draw(SECRET, "a", "b").sample("s", range(4), 5)
