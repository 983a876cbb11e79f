import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.buffer import OctetBuffer
from lab7.services.errors import LimitExceededError


def test_lines_come_out_whole_and_the_rest_waits() -> None:
    buffer = OctetBuffer(100)
    buffer.feed(b"one\r\ntw")
    assert buffer.take_line(20) == b"one"
    assert buffer.take_line(20) is None
    buffer.feed(b"o\r\n")
    assert buffer.take_line(20) == b"two"
    assert len(buffer) == 0


def test_bounds_hold() -> None:
    buffer = OctetBuffer(10)
    buffer.feed(b"12345")
    with pytest.raises(LimitExceededError):
        buffer.feed(b"678901")
    assert buffer.take(99) == b"12345"
    buffer.feed(b"12345")
    with pytest.raises(LimitExceededError):
        buffer.take_line(5)


@given(st.lists(st.binary(max_size=9)), st.integers(1, 5))
def test_how_octets_are_cut_changes_no_line(lines: list[bytes], step: int) -> None:
    lines = [line.replace(b"\r", b"").replace(b"\n", b"") for line in lines]
    octets = b"".join(line + b"\r\n" for line in lines)
    buffer = OctetBuffer(10_000)
    out = []
    for begin in range(0, len(octets), step):
        buffer.feed(octets[begin : begin + step])
        while (line := buffer.take_line(100)) is not None:
            out.append(line)
    assert out == lines
