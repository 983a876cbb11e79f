"""Parsed traffic at one interface of a student's capture, by protocol, for functions that compute answer keys.

    @question(points=2, filter="http.request")
    def q3(seen: CaptureView) -> Key:
        requests = [exchange.request for exchange in seen.http]
        return Key(Number(len(requests)), tuple(request.frames[0] for request in requests), "...")

This example is question q3, worth 2 points: the number of HTTP requests. A Key has the true answer, the numbers of the
frames that show it, and an explanation. `filter` is a display filter for Wireshark.

Each property of a CaptureView, such as `http`, parses the traffic of one protocol. The parsers are those of lab7's
experiments, and parsed messages have the numbers of their frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from lab7.experiments.dns.wire.traffic import DnsTraffic, dns_exchanges
from lab7.experiments.ftp.wire.sessions import FtpTraffic, ftp_traffic
from lab7.experiments.harness.judge.frames import CaptureFile, Connection, Frame, connections
from lab7.experiments.http.wire.http1 import Exchange
from lab7.experiments.http.wire.page_load import PageLoad, page_load
from lab7.experiments.mail.wire.imap import ImapTraffic, imap_traffic
from lab7.experiments.mail.wire.pop3 import Pop3Traffic, pop3_traffic
from lab7.experiments.mail.wire.smtp import SmtpTraffic, smtp_traffic


class Framed(Protocol):
    """Interface of parsed messages: `frames` are the numbers of the frames that carry the message."""

    @property
    def frames(self) -> Sequence[int]:
        """The numbers of the frames that carry the message, in order."""


def ends(message: Framed) -> tuple[int, ...]:
    """Return the numbers of a message's first and last frame; Wireshark shows the decoded message at the last one."""
    return tuple(dict.fromkeys((message.frames[0], message.frames[-1])))


def span(message: Framed) -> str:
    """Return a message's range of frame numbers as text, such as `Frame 4` or `Frames 4 to 9`."""
    first, *more = ends(message)
    return f"Frames {first} to {more[0]}" if more else f"Frame {first}"


HTTP_PORTS = (80, 3128, 8080)


@dataclass(frozen=True)
class CaptureView:
    """Parsed traffic at one interface of a student's capture, with the parameters drawn for the student (`variant`)."""

    captured: CaptureFile
    interface: str
    variant: Mapping[str, Any]

    def at(self, interface: str) -> CaptureView:
        """Return the traffic of the same capture at another interface."""
        return CaptureView(self.captured, interface, self.variant)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The captured frames at the interface."""
        return self.captured.at(self.interface)

    @cached_property
    def connections(self) -> list[Connection]:
        """The TCP connections at the interface, in the order of their SYNs."""
        return connections(self.frames)

    @cached_property
    def page_load(self) -> PageLoad:
        """The HTTP/1 and HTTP/2 connections at the interface, with requests and responses, as one page load."""
        return page_load(self.captured, self.interface, HTTP_PORTS)

    @cached_property
    def http(self) -> list[Exchange]:
        """The HTTP exchanges (request and response) at the interface, in the order of the requests."""
        exchanges = [one for conversation in self.page_load.conversations for one in conversation.exchanges]
        return sorted(exchanges, key=lambda one: (one.request.first_ns, one.request.frames[0]))

    @cached_property
    def dns(self) -> DnsTraffic:
        """The DNS queries at the interface with their responses."""
        return dns_exchanges(self.captured, self.interface)

    @cached_property
    def ftp(self) -> FtpTraffic:
        """The FTP sessions at the interface with their file transfers."""
        return ftp_traffic(self.captured, self.interface)

    @cached_property
    def smtp(self) -> SmtpTraffic:
        """The SMTP sessions at the interface with their messages."""
        return smtp_traffic(self.captured, self.interface)

    @cached_property
    def pop3(self) -> Pop3Traffic:
        """The POP3 sessions at the interface."""
        return pop3_traffic(self.captured, self.interface)

    @cached_property
    def imap(self) -> ImapTraffic:
        """The IMAP sessions at the interface."""
        return imap_traffic(self.captured, self.interface)

    def time_s(self, frame: int) -> float:
        """Return the time of frame number `frame` in s after the file's first frame, as in Wireshark's column Time."""
        return (self.captured.frames[frame - 1].time_ns - self.captured.frames[0].time_ns) / 1e9
