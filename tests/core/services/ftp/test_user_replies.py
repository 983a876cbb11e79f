"""Replies as the user's protocol interpreter reads them: whole lines in CRLF, in whatever pieces they come."""

from __future__ import annotations

import pytest

from lab7.services.ftp.user.user_pi import ReplyError, ReplyReader


def test_a_reply_in_pieces_is_awaited() -> None:
    reader = ReplyReader()
    assert [len(reader.feed(octets)) for octets in (b"220 rea", b"dy\r", b"\n331 pass")] == [0, 0, 1]


@pytest.mark.parametrize("octets", [b"220 ready\n", b"220-ready\r\n220 now\n"])
def test_a_line_in_lf_alone_is_an_error_at_once(octets: bytes) -> None:
    with pytest.raises(ReplyError, match="ends in LF without CR"):
        ReplyReader().feed(octets)
