"""Closed forms for SMTP connections, submission and POP3 retrieval: round trips and transmission times.

An SMTP connection from the SYN to the reply to QUIT, with n messages of one recipient each:

    tcp_handshake   1 RTT            SYN, SYN-ACK
    dialogue        2 RTT            the greeting (RFC 5321 section 3.1: the server speaks first), EHLO
                    4 RTT a message  MAIL, RCPT, DATA, and the mail data with their reply
                    2 RTT a message  instead of 4, with PIPELINING: MAIL, RCPT and DATA together (RFC 2920 section 3.1)
                    1 RTT            QUIT
    transmission    the rest of X    X: the mail data on the link, headers of frames included

so (4 + 4n) RTT + X, or (4 + 2n) RTT + X with PIPELINING. With one connection per message, all terms except X count once
per connection: 8n RTT + X and 6n RTT + X. DNS lookups before a connection are a further term, dns. The transmission
time of the first segment of the mail data, and of commands and replies, is part of the dialogue; if the mail data do
not fit TCP's initial window, the idle time of slow start is part of transmission (see harness.theory).

A reader's POP3 session up to the end of a message is 5 RTT + X: SYN, the greeting, USER, PASS, RETR (RFC 1939).

Effects that these forms leave out have terms of their own (see `completed`): window (waits for the congestion window),
acknowledgements (their transmission time), framing (transmission time of other frames that the forms do not count), and
server_waits (timers of third-party servers).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lab7.experiments.harness.pathmodel.replay import OmittedTerms
from lab7.experiments.harness.theory.round_trips import RoundTrips
from lab7.experiments.harness.theory.tcp import (
    INITIAL_WINDOW_SEGMENTS,
    MSS_BYTES,
    SYN_FRAME_BYTES,
    Theory,
    segments,
    slow_start_stall_s,
    transmission_symbol,
    transmission_time_s,
)

RFC_5321 = "RFC 5321, sections 3.1, 3.3 and 4.1.1: round trips counted"
RFC_2920 = "RFC 5321, sections 3.1, 3.3 and 4.1.1, and RFC 2920, section 3.1: round trips counted"
RFC_1035 = "RFC 1034, section 5.3.3, and RFC 5321, sections 3.1 and 5.1: round trips counted"
RFC_1939 = "RFC 1939, sections 3 to 5: round trips counted"
# Assumed size in octets of a command or reply, unless a mean size was measured.
MESSAGE_BYTES = 40
# A message takes ONE_AT_A_TIME round trips without PIPELINING, PIPELINED with MAIL, RCPT, DATA in one group.
ONE_AT_A_TIME, PIPELINED = 4, 2


@dataclass(frozen=True)
class Leg:
    """Network path between two hosts, with the parameters of the closed forms.

    rate_bps: rate in bit/s, None if unlimited; message_bytes: mean size of a command or reply in octets; slow_start:
    True to count the time for which slow start leaves the link idle.
    """

    rtt_s: float
    rate_bps: float | None = None
    message_bytes: int = MESSAGE_BYTES
    slow_start: bool = True

    @property
    def syns_s(self) -> float:
        """Return the transmission time in s of SYN and SYN-ACK."""
        return 0.0 if self.rate_bps is None else 2 * SYN_FRAME_BYTES * 8 / self.rate_bps

    @property
    def message_s(self) -> float:
        """Return the transmission time in s of one command or reply."""
        return transmission_time_s(self.message_bytes, self.rate_bps)

    def first_s(self, size_bytes: int) -> float:
        """Return the transmission time in s of the first TCP segment of a message with `size_bytes` octets."""
        return transmission_time_s(min(size_bytes, MSS_BYTES), self.rate_bps)

    def rest_s(self, size_bytes: int, window_segments: int = INITIAL_WINDOW_SEGMENTS) -> float:
        """Return the transmission time in s of a message after its first segment, plus the idle time of slow start."""
        rest_s = transmission_time_s(size_bytes, self.rate_bps) - self.first_s(size_bytes)
        if not self.slow_start:
            return rest_s
        return rest_s + slow_start_stall_s(size_bytes, self.rtt_s, self.rate_bps, window_segments=window_segments)


def lookup_s(asked: Sequence[int], server_rtt_s: float, local_rtt_s: float = 0.0) -> float:
    """Return the predicted time in s of consecutive DNS lookups.

    `asked`: number of name servers queried for each lookup; the round-trip times are those from the resolver to a name
    server, and from the client to the resolver.
    """
    return sum(local_rtt_s + count * server_rtt_s for count in asked)


def smtp_connection(leg: Leg, sizes_bytes: Sequence[int], pipelining: bool, together: bool = True) -> Theory:
    """Return the predicted time from the first SYN to the last 221, for messages of these sizes.

    together: True for all messages over one connection, False for one connection per message, in sequence. Each message
    has one recipient. Raises ValueError if there is no message.
    """
    if not sizes_bytes:
        raise ValueError("a connection needs at least one message")
    n = len(sizes_bytes)
    connections = 1 if together else n
    a_message = PIPELINED if pipelining else ONE_AT_A_TIME
    # Count commands and replies: greeting, EHLO and QUIT with replies; for each mail four commands with replies.
    messages = 5 * connections + (5 if pipelining else 7) * n
    more_s = messages * leg.message_s, sum(leg.first_s(size) for size in sizes_bytes)
    form = RoundTrips(leg.rtt_s, n=n).define(n="messages").add("dns", 0.0)
    if together:
        form.trips("tcp_handshake", 1, frames_s=leg.syns_s)
        form.trips("dialogue", 3, n=a_message, more_s=more_s)
    else:
        form.trips("tcp_handshake", n=1, frames_s=leg.syns_s)
        form.trips("dialogue", n=3 + a_message, more_s=more_s)
    rest_s = sum(_on_connection(leg, sizes_bytes, together))
    form.add("transmission", rest_s, "X").legend(_legend(leg, sizes_bytes, rest_s))
    return form.theory(RFC_2920 if pipelining else RFC_5321)


def _legend(leg: Leg, sizes_bytes: Sequence[int], rest_s: float) -> dict[str, str]:
    """Return the legend of the formula's symbol X: the transmission time of the mail data, and its terms."""
    first_s = sum(leg.first_s(size) for size in sizes_bytes)
    parts_s = {"dialogue": first_s, "transmission": rest_s}
    return {"X": transmission_symbol(first_s + rest_s, "the mail data", parts_s)}


def _on_connection(leg: Leg, sizes_bytes: Sequence[int], together: bool) -> list[float]:
    """Return each message's transmission time in s after its first segment.

    `together`: the messages share one connection, and thus one growing congestion window.
    """
    window, rests = INITIAL_WINDOW_SEGMENTS, []
    for size in sizes_bytes:
        rests.append(leg.rest_s(size, window))
        if together:
            window = max(window, segments(size))
    return rests


def submission(leg: Leg, size_bytes: int, dns_s: float, log_in: int = 1) -> Theory:
    """Return the predicted time of a submission, from DNS lookup to 250; log_in: number of round trips of AUTH."""
    trips = 2 + log_in + ONE_AT_A_TIME
    form = RoundTrips(leg.rtt_s).add("dns", dns_s, "DNS")
    form.trips("tcp_handshake", 1, frames_s=leg.syns_s)
    form.trips("dialogue", trips, more_s=((2 * trips - 2) * leg.message_s, leg.first_s(size_bytes)))
    form.add("transmission", leg.rest_s(size_bytes), "X").legend(_legend(leg, [size_bytes], leg.rest_s(size_bytes)))
    return form.theory(RFC_5321)


def connecting(leg: Leg, dns_s: float) -> Theory:
    """Return the predicted time from a client's first DNS lookup to the server's greeting."""
    form = RoundTrips(leg.rtt_s).add("dns", dns_s, "DNS")
    form.trips("tcp_handshake", 1, frames_s=leg.syns_s)
    form.trips("dialogue", 1, more_s=(leg.message_s,))
    return form.add("transmission", 0.0).theory(RFC_1035)


def transfer(leg: Leg, size_bytes: int, pipelining: bool = True) -> Theory:
    """Return the predicted time of one message's transfer, from the server's greeting to the 250."""
    trips = 1 + (PIPELINED if pipelining else ONE_AT_A_TIME)
    form = RoundTrips(leg.rtt_s).add("dns", 0.0).add("tcp_handshake", 0.0)
    form.trips("dialogue", trips, more_s=((2 * trips - 1) * leg.message_s, leg.first_s(size_bytes)))
    form.add("transmission", leg.rest_s(size_bytes), "X").legend(_legend(leg, [size_bytes], leg.rest_s(size_bytes)))
    return form.theory(RFC_2920 if pipelining else RFC_5321)


def reading(leg: Leg, size_bytes: int, dns_s: float) -> Theory:
    """Return the predicted time of a POP3 retrieval, from DNS lookup to the last octet of one message."""
    form = RoundTrips(leg.rtt_s).add("dns", dns_s, "DNS")
    form.trips("tcp_handshake", 1, frames_s=leg.syns_s)
    form.trips("dialogue", 4, more_s=(7 * leg.message_s, leg.first_s(size_bytes)))
    form.add("transmission", leg.rest_s(size_bytes), "X").legend(_legend(leg, [size_bytes], leg.rest_s(size_bytes)))
    return form.theory(RFC_1939)


def completed(form: Callable[[Leg], Theory], leg: Leg, omitted: OmittedTerms) -> Theory:
    """Return the prediction for a network path, with terms added for delays that the closed form omits.

    window: waits for the congestion window beyond the form's own slow start; acknowledgements: transmission time of
    ACKs and FINs; server_waits: waits of third-party servers by timers; framing: transmission time of frames in
    addition to the commands, replies and mail data that the form counts (DNS messages, short segments, deviations from
    the mean length). All are computed by simulation (pathmodel.replay).
    """
    whole = form(leg)
    full_window_s = form(replace(leg, slow_start=False)).total_s
    trips_s = form(replace(leg, slow_start=False, rate_bps=None)).total_s
    return whole.plus(
        {
            "window": to_ns(omitted.window_s - (whole.total_s - full_window_s)),
            "acknowledgements": to_ns(omitted.acknowledgements_s),
            "framing": to_ns(omitted.sending_s - (full_window_s - trips_s)),
            "server_waits": to_ns(omitted.server_waits_s),
        }
    )


def to_ns(value_s: float) -> float:
    """Round a time in s to the nanosecond, the resolution of all measured times."""
    return round(value_s, 9)
