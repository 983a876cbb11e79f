"""Verdicts on claims of the course from a capture alone, without the experiment that recorded the traffic.

A claim is a statement about a protocol, such as "HTTP/1.0 uses a separate connection for each object". An experiment
knows the traffic that its claim is about. Without the experiment, this traffic is selected by port, protocol version
and FTP mode, and then judged by the functions that the experiments use. A claim without such traffic is undecided.

Each interface of the capture is judged separately: a claim fails if it fails at one interface; otherwise it is shown if
it is shown at one interface. For claims that no capture alone can decide, the module lists what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from lab7.experiments.dns.claims.transport import decide_transport
from lab7.experiments.dns.wire.traffic import DnsTraffic, dns_exchanges
from lab7.experiments.ftp.claims.connections import (
    decide_active_mode,
    decide_command_lines,
    decide_control_connection,
    decide_passive_mode,
)
from lab7.experiments.ftp.wire.sessions import FtpTraffic, ftp_traffic
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.judge.verdict import Verdict, undecided
from lab7.experiments.http.claims.http1 import decide_connection_setup, decide_request_grammar, decide_response_grammar
from lab7.experiments.http.claims.http2 import decide_binary_framing
from lab7.experiments.http.wire.http2 import Http2Conversation
from lab7.experiments.http.wire.page_load import PageLoad, page_load
from lab7.experiments.mail.claims.transfer import decide_messages_per_connection, decide_smtp_dialogue
from lab7.experiments.mail.wire.smtp import SMTP_PORT, SmtpTraffic, smtp_traffic

# Function that decides one claim from the traffic at an interface.
Decide = Callable[[CaptureFile, str], Verdict]
CONTENT = "needs the objects or messages that the servers held, to compare them with what arrived"
TIME = "needs RTT and rate of the link, to compare the measured time with theory"
RUNS = "compares several runs or workloads"
ROLES = "needs captures at several hosts, and which of them has which role"
ZONES = "needs the records that the name servers held"
CAUSES = "needs the causes of the replies, which are not in the packets"
FAULT = "needs the times of the faults"
SECRET = "needs the password, and which host overhears the transfer"
# Claim id -> what a capture alone lacks to decide the claim.
LACKING: Mapping[str, str] = {
    **dict.fromkeys(("H4", "H5", "H11", "F2", "F5", "M1", "M2", "S8", "S9", "S11"), CONTENT),
    **dict.fromkeys(("H6", "H7", "H8", "H9", "H13", "H14"), TIME),
    **dict.fromkeys(("H12", "W1", "W2", "W8", "C1", "C5", "C6", "D6", "D12", "D13"), RUNS),
    **dict.fromkeys(("W3", "W4", "W5", "W6", "W7", "C2", "C3", "C4", "C7", "S1", "S2", "S3", "S10", "M3", "M4"), ROLES),
    **dict.fromkeys(("D7", "D8", "D9", "D10", "D11"), ROLES),
    **dict.fromkeys(("D2", "D3", "D4", "D5", "D14", "D15"), ZONES),
    **dict.fromkeys(("F4", "S6"), CAUSES),
    **dict.fromkeys(("C8", "S5"), FAULT),
    **dict.fromkeys(("F8", "F9"), SECRET),
}


def decide_claims(captured: CaptureFile) -> Iterator[Verdict]:
    """Yield a verdict for each claim that a capture alone can decide, in the order of DECIDERS."""
    for claim, decider in DECIDERS.items():
        verdicts = [decider(captured, interface) for interface in captured.counts]
        order = {"failed": 0, "shown": 1, "undecided": 2}
        yield min(verdicts, key=lambda one: order[one.verdict], default=undecided(claim, "The capture has no frame."))


def _loads(captured: CaptureFile, interface: str) -> tuple[list[PageLoad], list[PageLoad]]:
    """Return (page loads by HTTP/1, page loads by HTTP/2) from the connections to port 80.

    Each list has one page load, or is empty if the capture has no such connection.
    """
    load = page_load(captured, interface)
    binary = tuple(one for one in load.conversations if isinstance(one, Http2Conversation))
    text = tuple(one for one in load.conversations if not isinstance(one, Http2Conversation) and one.exchanges)
    return [PageLoad(text, load.dropped)] if text else [], [PageLoad(binary, load.dropped)] if binary else []


def _http(decider: Callable[[Sequence[PageLoad]], Verdict], claim: str) -> Decide:
    def decide(captured: CaptureFile, interface: str) -> Verdict:
        text, _ = _loads(captured, interface)
        return decider(text) if text else undecided(claim, "There is no request by HTTP/1 to port 80.")

    return decide


def _framing(captured: CaptureFile, interface: str) -> Verdict:
    return decide_binary_framing(*_loads(captured, interface))


def _modes(traffic: FtpTraffic, mode: str) -> FtpTraffic:
    """Return the FTP sessions whose transfers all use one mode (`active` or `passive`), as FtpTraffic."""
    kept = tuple(
        session
        for session in traffic.sessions
        if session.transfers
        and all(one.announced is not None and one.announced.mode == mode for one in session.transfers)
    )
    return replace(traffic, sessions=kept)


def _ftp(decider: Callable[[FtpTraffic], Verdict], claim: str, mode: str = "") -> Decide:
    def decide(captured: CaptureFile, interface: str) -> Verdict:
        traffic = ftp_traffic(captured, interface)
        if mode:
            traffic = _modes(traffic, mode)
        what = f"FTP session with transfers in {mode} mode alone" if mode else "FTP session"
        return decider(traffic) if traffic.sessions else undecided(claim, f"There is no {what}.")

    return decide


def _control(traffic: FtpTraffic) -> Verdict:
    if not traffic.transfers:
        return undecided("F1", "There is no FTP transfer.")
    return decide_control_connection([replace(traffic, sessions=(one,)) for one in traffic.sessions if one.transfers])


def _smtp(decider: Callable[[SmtpTraffic], Verdict], claim: str, needed: Callable[[SmtpTraffic], str]) -> Decide:
    """Return a function that decides a claim from the SMTP traffic of a capture.

    `needed` is called with the traffic. It returns a sentence if traffic for the claim is missing, so that the claim is
    undecided; otherwise an empty text.
    """

    def decide(captured: CaptureFile, interface: str) -> Verdict:
        traffic = smtp_traffic(captured, interface)
        lacking = needed(traffic)
        return undecided(claim, lacking) if lacking else decider(traffic)

    return decide


def _relayed(traffic: SmtpTraffic) -> SmtpTraffic:
    return traffic.select(lambda connection: connection.server.port == SMTP_PORT)


def _several(traffic: SmtpTraffic) -> Verdict:
    return decide_messages_per_connection(traffic, max(len(one.messages) for one in traffic.sessions))


def _transport(captured: CaptureFile, interface: str) -> Verdict:
    traffic = dns_exchanges(captured, interface)
    cut = {one.query.question for one in traffic.exchanges if one.response is not None and one.response.tc}
    if not cut:
        return undecided("D1", "There is no truncated answer.")

    def part(truncated: bool) -> DnsTraffic:
        return replace(
            traffic, exchanges=tuple(one for one in traffic.exchanges if (one.query.question in cut) == truncated)
        )

    plain = part(truncated=False)
    udp = replace(plain, exchanges=tuple(one for one in plain.exchanges if one.query.transport == "udp"))
    return decide_transport(udp, part(truncated=True))


# Claim id -> function that decides the claim.
DECIDERS: Mapping[str, Decide] = {
    "H1": _http(decide_connection_setup, "H1"),
    "H2": _http(decide_request_grammar, "H2"),
    "H3": _http(decide_response_grammar, "H3"),
    "H10": _framing,
    "F1": _ftp(_control, "F1"),
    "F3": _ftp(decide_command_lines, "F3"),
    "F6": _ftp(decide_active_mode, "F6", "active"),
    "F7": _ftp(decide_passive_mode, "F7", "passive"),
    "S4": _smtp(
        # Submission adds dialogues of authentication (RFC 4954), which the claim is not about.
        lambda traffic: decide_smtp_dialogue([_relayed(traffic)]),
        "S4",
        lambda traffic: "" if _relayed(traffic).messages else "There is no SMTP session to port 25 with a message.",
    ),
    "S7": _smtp(
        _several,
        "S7",
        lambda traffic: (
            "" if any(len(one.messages) > 1 for one in traffic.sessions) else "No SMTP session has several messages."
        ),
    ),
    "D1": _transport,
}
