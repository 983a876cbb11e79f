"""Telnet decoder of the control connection (RFC 959 section 4.1, RFC 854), from octets to command lines and events.

The decoder removes Telnet commands from the octets of the control connection. A request for a Telnet option results in
an event with the refusal to send (RFC 1123 section 4.1.2.12). Clients send Interrupt Process before ABOR; the server
ignores this event. The connection sets SO_OOBINLINE, so the urgent Data Mark of Synch arrives as an octet like any
other.

    U: IAC IP IAC DM ABOR CRLF     ->  Interrupt(), Line(b"ABOR")
    U: IAC DO 1 NOOP CRLF          ->  Answer(IAC WONT 1), Line(b"NOOP")

RFC 959 ends lines in CRLF; LF alone is accepted as well, for commands typed with netcat.
"""

from dataclasses import dataclass

from lab7.services.ftp.limits import LINE_OCTETS

IAC, DONT, DO, WONT, WILL, SB, IP, DM, SE = 255, 254, 253, 252, 251, 250, 244, 242, 240
_REFUSAL = {WILL: DONT, DO: WONT}
_LF, _CR, _NUL = b"\n", b"\r", b"\r\0"


@dataclass(frozen=True, slots=True)
class Line:
    """Event of the Telnet decoder: a command line, without CRLF."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class LongLine:
    """Event of the Telnet decoder: a line that exceeded the limit and was discarded."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Event of the Telnet decoder: the Telnet function Interrupt Process (IP), which clients send before ABOR."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Event of the Telnet decoder: a Telnet option was requested; `octets` are to be sent in order to refuse it."""

    octets: bytes


TelnetEvent = Line | LongLine | Interrupt | Answer


class TelnetLines:
    """Incremental Telnet decoder; it buffers at most `limit_octets` of an incomplete line."""

    def __init__(self, limit_octets: int = LINE_OCTETS) -> None:
        self._limit = limit_octets
        self._line = bytearray()
        self._is_long = False
        # Octets of an incomplete Telnet command: IAC, and the octet that follows.
        self._signal = bytearray()
        self._in_negotiation = False

    @property
    def waiting_octets(self) -> int:
        """Number of buffered octets of the incomplete line."""
        return len(self._line)

    def feed(self, data: bytes) -> list[TelnetEvent]:
        """Decode octets and return the events that are complete."""
        events: list[TelnetEvent] = []
        position = 0
        while position < len(data):
            if self._signal or self._in_negotiation:
                self._take_signal(data[position], events)
                position += 1
                continue
            signal = data.find(IAC, position)
            end = len(data) if signal < 0 else signal
            self._take_text(data[position:end], events)
            position = end
            if signal >= 0:
                self._signal.append(IAC)
                position += 1
        return events

    def _take_text(self, text: bytes, events: list[TelnetEvent]) -> None:
        *ended, rest = text.split(_LF)
        for piece in ended:
            self._extend(piece)
            self._end_line(events)
        self._extend(rest)

    def _extend(self, piece: bytes) -> None:
        if self._is_long:
            return
        if len(self._line) + len(piece) > self._limit:
            self._is_long = True
            self._line.clear()
        else:
            self._line += piece

    def _end_line(self, events: list[TelnetEvent]) -> None:
        if self._is_long:
            events.append(LongLine())
        else:
            # RFC 854: a carriage return that does not end a line is followed by NUL.
            events.append(Line(bytes(self._line).removesuffix(_CR).replace(_NUL, _CR)))
        self._is_long = False
        self._line.clear()

    def _take_signal(self, octet: int, events: list[TelnetEvent]) -> None:
        if self._in_negotiation:
            # Subnegotiation is skipped up to IAC SE, because no option is ever enabled.
            if self._signal and octet == SE:
                self._in_negotiation = False
            self._signal[:] = bytes([IAC]) if octet == IAC and not self._signal else b""
            return
        if len(self._signal) == 1:
            self._take_verb(octet, events)
            return
        refusal = _REFUSAL.get(self._signal[1])
        if refusal is not None:
            events.append(Answer(bytes([IAC, refusal, octet])))
        self._signal.clear()

    def _take_verb(self, octet: int, events: list[TelnetEvent]) -> None:
        if octet in (WILL, WONT, DO, DONT):
            self._signal.append(octet)
            return
        self._signal.clear()
        if octet == IAC:
            # IAC IAC is the data octet 255.
            self._extend(bytes([IAC]))
        elif octet == SB:
            self._in_negotiation = True
        elif octet == IP:
            events.append(Interrupt())
