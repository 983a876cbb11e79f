"""Closed form for the time from the last failed delivery attempt in an outage to the delivery of the first message.

    refusal         1 RTT     if the peer's host refuses the connection (RST)
    wait            the retry interval, from the failure of the last attempt to the next attempt; an unanswered attempt
                    fails after the connection time-out, which is then added
    tcp_handshake   1 RTT     SYN, SYN-ACK
    dialogue        3 RTT     the greeting; EHLO; MAIL, RCPT and DATA together (RFC 2920)
    content         1 RTT     the message and its 250

The transmission time of frames is added as a separate term, framing (see `completed`). While the peer stays down,
consecutive attempts are 1 RTT + wait apart.

The next attempt follows between 0 and one retry interval after the peer's return, since the schedule, not the return,
determines the time of the attempt. The round trips are counted from RFC 5321 section 3.3 (the dialogue); section
4.5.4.1 requires the interval between attempts.
"""

from __future__ import annotations

from lab7.experiments.harness.pathmodel.replay import OmittedTerms
from lab7.experiments.harness.theory.round_trips import RoundTrips
from lab7.experiments.harness.theory.tcp import SYN_FRAME_BYTES, Theory

# RFC 9293 section 3.10.7.1: a RST that answers a SYN has no options, only Ethernet, IPv4 and TCP headers.
RST_FRAME_BYTES = 14 + 20 + 20
RFC_5321 = "RFC 5321, sections 3.3 and 4.5.4.1: round trips counted"
DIALOGUE_TRIPS = 3


def recovery(refused: bool, rtt_s: float, retry_s: float, connect_timeout_s: float) -> Theory:
    """Return the predicted time from the last failed attempt's SYN to the 250 for the first message."""
    form = RoundTrips(rtt_s)
    if refused:
        form.trips("refusal", 1).add("wait", retry_s, "wait")
    else:
        form.add("refusal", 0.0).add("wait", retry_s + connect_timeout_s, "time-out + wait")
    form.trips("tcp_handshake", 1).trips("dialogue", DIALOGUE_TRIPS).trips("content", 1)
    return form.theory(RFC_5321)


def spacing(rtt_s: float, retry_s: float) -> Theory:
    """Return the predicted time between consecutive attempts that the peer's host refuses by RST."""
    return RoundTrips(rtt_s).trips("refusal", 1).add("wait", retry_s, "wait").theory(RFC_5321)


def refusal_framing_s(rate_bps: float) -> float:
    """Return the transmission time in s of a refused SYN and the RST in response."""
    return (SYN_FRAME_BYTES + RST_FRAME_BYTES) * 8 / rate_bps


def completed(theory: Theory, refused: bool, rate_bps: float, omitted: OmittedTerms | None) -> Theory:
    """Return a prediction with added terms for delays that the closed form omits: window, acknowledgements, framing.

    omitted: the delays of the answered connection, from its SYN on; None if the path model finds no causal order of the
    connection's packets.
    """
    framing_s = refusal_framing_s(rate_bps) if refused else 0.0
    if omitted is None:
        return theory.plus({"framing": round(framing_s, 9)})
    terms = {
        "window": omitted.window_s,
        "acknowledgements": omitted.acknowledgements_s,
        "framing": framing_s + omitted.sending_s,
    }
    return theory.plus({name: round(value_s, 9) for name, value_s in terms.items()})
