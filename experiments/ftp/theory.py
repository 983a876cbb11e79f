"""Closed-form duration of an FTP session that retrieves n files: round trips and transmission times, by term.

    control_handshake   1 RTT             SYN, SYN-ACK
    dialogue            (1 + d) RTT       the greeting, then d commands and their replies: USER, PASS, TYPE
    announcement        1 RTT a file      PORT 200, or PASV 227
    data_handshake      1 RTT a file      passive: SYN and SYN-ACK; active: SYN-ACK and ACK, for which the data wait
    request             1 RTT a file      passive: RETR and the first segment; active: RETR and the server's SYN
    transmission        the rest of X

In either mode, n files take (2 + d + 3n) RTT + X. HTTP/1.1 on one persistent connection takes (n + 1) RTT + X, since it
opens no data connections. X is the transmission time of the files. The final reply (226) follows the data immediately,
on the control connection. The transmission times of the other frames are added to the round trips to which they belong.

The order of commands and replies is that of RFC 959 sections 3.3, 5.4 and 6. The formula is valid if each file fits
TCP's initial window, since every data connection begins with slow start.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab7.experiments.harness.theory.round_trips import RoundTrips
from lab7.experiments.harness.theory.tcp import (
    INITIAL_WINDOW_SEGMENTS,
    MSS_BYTES,
    SYN_FRAME_BYTES,
    Theory,
    segments,
    transmission_symbol,
    transmission_time_s,
)

RFC_959 = "RFC 959, sections 3.3, 5.4 and 6: round trips counted"
MODES = ("active", "passive")
# Assumed size in octets of a command or a reply, unless a mean size was measured.
MESSAGE_BYTES = 30
# Each file takes five messages on the control connection: PORT or PASV, the reply, RETR, 150 and 226.
MESSAGES_A_FILE = 5


def ftp_session(
    mode: str,
    rtt_s: float,
    sizes_bytes: Sequence[int],
    rate_bps: float,
    dialogue: int,
    message_bytes: int = MESSAGE_BYTES,
) -> Theory:
    """Return the theoretical time from the first SYN of an FTP session to its last 226 reply, divided into terms.

    dialogue is the number of commands that do not belong to transfers; message_bytes is the mean size of a command or
    reply. Raises ValueError for an unknown mode, or without files.
    """
    if mode not in MODES or not sizes_bytes:
        raise ValueError(f"mode must be {' or '.join(MODES)}, with at least one file")
    n = len(sizes_bytes)
    syns_s = 2 * SYN_FRAME_BYTES * 8 / rate_bps
    message_s = transmission_time_s(message_bytes, rate_bps)
    x_s = sum(transmission_time_s(size, rate_bps) for size in sizes_bytes)
    first_s = sum(transmission_time_s(min(size, MSS_BYTES), rate_bps) for size in sizes_bytes)
    # The server sends 150 before the data (term request) and 226 after the data (term confirmation), on one link.
    session = RoundTrips(rtt_s, n=n)
    session.trips("control_handshake", 1, frames_s=syns_s)
    session.trips("dialogue", 1 + dialogue, more_s=((1 + 2 * dialogue) * message_s,))
    session.trips("announcement", n=1, frames_s=2 * message_s)
    session.trips("data_handshake", n=1, frames_s=syns_s)
    session.trips("request", n=1, frames_s=2 * message_s, more_s=(first_s,))
    session.add("transmission", x_s - first_s, "X").define(n="files")
    parts_s = {"request": first_s, "transmission": x_s - first_s}
    session.legend({"X": transmission_symbol(x_s, "all files", parts_s)})
    session.add("confirmation", n * message_s)
    return session.theory(RFC_959)


def framing_s(
    control_bytes: Sequence[int],
    data_bytes: Sequence[int],
    sizes_bytes: Sequence[int],
    rate_bps: float,
    dialogue: int,
    message_bytes: int,
) -> float:
    """Return the transmission time in s of captured segments that ftp_session() does not include.

    control_bytes are the sizes of all segments on the control connection up to the last 226, data_bytes those on the
    data connections; the other parameters are those of ftp_session(). The result is the transmission time of these
    segments minus the transmission time in ftp_session(). It is not 0 if messages are longer or shorter than the mean,
    if a reply has several segments, or if data segments are short; it may be negative.
    """
    messages = 1 + 2 * dialogue + MESSAGES_A_FILE * len(sizes_bytes)
    sent_s = sum(transmission_time_s(size, rate_bps) for size in (*control_bytes, *data_bytes))
    counted_s = messages * transmission_time_s(message_bytes, rate_bps)
    return sent_s - counted_s - sum(transmission_time_s(size, rate_bps) for size in sizes_bytes)


def fits_initial_window(sizes_bytes: Sequence[int]) -> bool:
    """Return True if every file fits TCP's initial window: no transfer then waits for acknowledgements."""
    return all(segments(size) <= INITIAL_WINDOW_SEGMENTS for size in sizes_bytes)
