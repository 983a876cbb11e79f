"""How long a message waits for a server that is back: the attempt that failed last, a wait, and a dialogue.

    refusal         1 RTT where the peer's machine refuses
    wait            the retry interval: the next attempt after the return is that long after the last one that failed,
                    which where nobody answers takes the time-out of a connection
    tcp_handshake   1 RTT     SYN, SYN-ACK
    dialogue        3 RTT     the greeting; EHLO; MAIL, RCPT and DATA together (RFC 2920)
    content         1 RTT     the message and its 250

From the return on it takes a time between 0 and the interval until the next attempt: it comes when the schedule says,
not when the peer is back. Source: RFC 5321 section 4.5.4.1 (a server that is out of reach is tried again after an
interval) and section 3.3 (the dialogue), counted here.
"""

from __future__ import annotations

from experiments.harness.theory import Theory

RFC_5321 = "RFC 5321, sections 3.3 and 4.5.4.1: round trips counted"
DIALOGUE_TRIPS = 3


def recovery(refused: bool, rtt_s: float, retry_s: float, connect_timeout_s: float) -> Theory:
    """Return the time from the beginning of the last attempt that failed to the first 250 behind a message."""
    terms = {
        "refusal": rtt_s if refused else 0.0,
        "wait": retry_s + (0.0 if refused else connect_timeout_s),
        "tcp_handshake": rtt_s,
        "dialogue": DIALOGUE_TRIPS * rtt_s,
        "content": rtt_s,
    }
    return Theory(sum(terms.values()), terms, "6 RTT + wait" if refused else "time-out + wait + 5 RTT", RFC_5321)
