"""Meanings of the terms (summands) of measured and predicted times, for reports and the console.

Some terms exist in a prediction only: they correct the textbook's formula. The measured time contains these delays
within other terms: acknowledgements, for example, delay the requests behind them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lab7.experiments.harness.results.result import Comparison

_MODELLED = "by the path model (acknowledgements and FINs share the link with data)"
MEANINGS: Mapping[str, str] = {
    "dns": "DNS lookups",
    "tcp_handshake": "opening of TCP connections, SYN to SYN ACK",
    "control_handshake": "opening of the control connection, SYN to SYN ACK",
    "data_handshake": "opening of data connections",
    "origin_handshake": "opening of the proxy's connections to the origin",
    "request": "sending of the requests and waits for the responses, as far as no other term has them",
    "origin_request": "waits of the proxy for responses of the origin",
    "dialogue": "commands and waits for their replies",
    "announcement": "PORT or PASV, and the wait for the reply",
    "confirmation": "wait for the final reply behind the data",
    "greeting": "wait for the server's first line",
    "authorization": "commands up to the one that authenticates, and waits for their replies",
    "selection": "commands that open, count or search a mailbox, and waits for their replies",
    "retrieval": "commands that return messages, and waits for their replies",
    "farewell": "QUIT or LOGOUT, and the wait for the reply",
    "content": "the mail data, and the wait for the reply",
    "refusal": "the attempt that failed",
    "wait": "time from the failed attempt to the next one",
    "spf": "DNS lookups for SPF",
    "dmarc": "DNS lookups for DMARC",
    "transmission": "transmission of the content: first octet to last",
    "internet": "propagation to the server and back",
    "queueing": "wait in the queue of the bottleneck link",
    "collapsed": "wait for an object that the cache is already fetching for another request",
    "window": "waits of the sender for the congestion window, less those that the formula includes",
    "acknowledgements": f"effect of the transmission time of acknowledgements, {_MODELLED}",
    "framing": "transmission of octets that the formula does not count (headers of further segments, HTTP/2 frames, "
    "longer commands), less those that it counts in excess",
    "server_waits": "waits of third-party servers by timers of their own",
    "arrivals": "mean queueing delay of this random sample of arrivals, less the M/D/1 formula's",
    "hit rate": "effect of this sample's hit rate, less that of the expected one",
    "clock_readings": "advance of the virtual clock by programs that read it",
    "late_frames": "frames that left an emulated link after they were due",
    "waiting_for_processor": "wait of the hosts' programs for a processor",
    "programs": "CPU time of the hosts' programs",
    "waiting_for_disk": "wait of the hosts' programs for the disk",
    "stolen": "CPU time that the hypervisor gave to other guests",
    "residual": "measured time in no other term",
}
# A term of DNS, such as `local-root DNSKEY`: two roles, and perhaps a record type.
_LEG = re.compile(r"([a-z]+)-([a-z]+)(?: ([A-Z]+))?")
IN_OTHERS = (
    "terms without a measured time (\N{EN DASH}) are corrections to the formula; measured, they are within the others"
)


def term_meaning(name: str) -> str:
    """Return the meaning of a term in words; empty for a term that an experiment of a user defines."""
    if found := _LEG.fullmatch(name):
        one, other, kind = found.groups()
        return f"queries{f' for {kind}' if kind else ''} from {one} to {other}, until the responses"
    return MEANINGS.get(name, "")


def terms_of(comparison: Comparison) -> list[str]:
    """Return the names of the terms that are not 0 in the measured or the predicted time, in order."""
    names = dict.fromkeys((*comparison.terms, *comparison.theory_terms))
    return [name for name in names if comparison.terms.get(name) or comparison.theory_terms.get(name)]


def only_theory(comparison: Comparison, name: str) -> bool:
    """Return True if a term is a correction to the formula, without a measured time of its own."""
    return name not in comparison.terms
