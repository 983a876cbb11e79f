"""The worked example's core: RFC 868's own figures, and every moment."""

from __future__ import annotations

import pytest
import time_core
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("unix_s", "seconds"),
    # RFC 868: 1 Jan 1970, 1 Jan 1976, 1 Jan 1980, 1 May 1983, and 17 Nov 1858 as a negative number.
    [
        (0, 2_208_988_800),
        (189_302_400, 2_398_291_200),
        (315_532_800, 2_524_521_600),
        (420_595_200, 2_629_584_000),
        (-3_506_716_800, 2**32 - 1_297_728_000),
    ],
)
def test_the_rfc_s_examples(unix_s: int, seconds: int) -> None:
    assert time_core.encode(unix_s) == seconds.to_bytes(4, "big")


def test_an_empty_datagram_is_a_question_and_any_other_is_not() -> None:
    assert time_core.answer(b"", 0.9) == bytes.fromhex("83aa7e80")
    assert time_core.answer(time_core.encode(0), 0.9) is None


@given(st.floats(min_value=-(2**33), max_value=2**33))
def test_every_moment_has_four_octets(unix_s: float) -> None:
    assert len(time_core.encode(unix_s)) == time_core.OCTETS
