"""Interface of a student's capture for functions that compute answer keys: frames, and messages by protocol.

    @question(points=2, filter="http.request")
    def q3(seen: CaptureView) -> Key:
        requests = [exchange.request for exchange in seen.http]
        return Key(Number(len(requests)), tuple(request.frames[0] for request in requests), "...")

Each property parses the traffic of one protocol at the view's interface, by the parser that decides claims; messages
carry their frame numbers.
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
    """A message with the frames that have its octets, in order."""

    @property
    def frames(self) -> Sequence[int]:
        """The frames of its segments."""


def ends(message: Framed) -> tuple[int, ...]:
    """Return the frames in which a message begins and ends; Wireshark shows the decoded message in its last frame."""
    return tuple(dict.fromkeys((message.frames[0], message.frames[-1])))


def span(message: Framed) -> str:
    """Return the frames of a message as text, such as `Frame 4` or `Frames 4 to 9`."""
    first, *more = ends(message)
    return f"Frames {first} to {more[0]}" if more else f"Frame {first}"


HTTP_PORTS = (80, 3128, 8080)


@dataclass(frozen=True)
class CaptureView:
    """A student's capture, restricted to one of its interfaces, with the student's variant."""

    captured: CaptureFile
    interface: str
    variant: Mapping[str, Any]

    def at(self, interface: str) -> CaptureView:
        """Return the view of the same capture at another interface."""
        return CaptureView(self.captured, interface, self.variant)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The frames at the interface."""
        return self.captured.at(self.interface)

    @cached_property
    def connections(self) -> list[Connection]:
        """The TCP connections, in the order of their SYNs."""
        return connections(self.frames)

    @cached_property
    def page_load(self) -> PageLoad:
        """The HTTP connections as one page load, HTTP/1 and HTTP/2."""
        return page_load(self.captured, self.interface, HTTP_PORTS)

    @cached_property
    def http(self) -> list[Exchange]:
        """The HTTP requests with their responses, in the order of the requests."""
        exchanges = [one for conversation in self.page_load.conversations for one in conversation.exchanges]
        return sorted(exchanges, key=lambda one: (one.request.first_ns, one.request.frames[0]))

    @cached_property
    def dns(self) -> DnsTraffic:
        """The DNS queries with their responses."""
        return dns_exchanges(self.captured, self.interface)

    @cached_property
    def ftp(self) -> FtpTraffic:
        """The FTP sessions with their transfers."""
        return ftp_traffic(self.captured, self.interface)

    @cached_property
    def smtp(self) -> SmtpTraffic:
        """The SMTP sessions with their messages."""
        return smtp_traffic(self.captured, self.interface)

    @cached_property
    def pop3(self) -> Pop3Traffic:
        """The POP3 sessions."""
        return pop3_traffic(self.captured, self.interface)

    @cached_property
    def imap(self) -> ImapTraffic:
        """The IMAP sessions."""
        return imap_traffic(self.captured, self.interface)

    def time_s(self, frame: int) -> float:
        """Return the time of a frame in s since the first frame of the file, which Wireshark shows by default."""
        return (self.captured.frames[frame - 1].time_ns - self.captured.frames[0].time_ns) / 1e9
