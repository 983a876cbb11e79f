"""Lines of the control connection out of octets in which Telnet signals may stand (RFC 959 section 4.1, RFC 854).

A command is a Telnet string. Options are refused (RFC 1123 section 4.1.2.12), each once an asking; an Interrupt
Process before ABOR is told as an event and else means nothing. The shell has urgent octets left in line (SO_OOBINLINE),
so Synch's DM comes as an octet like any other.

    U: IAC IP IAC DM ABOR CRLF     ->  Interrupt(), Line(b"ABOR")
    U: IAC DO 1 NOOP CRLF          ->  Answer(IAC WONT 1), Line(b"NOOP")

RFC 959 ends lines in CRLF; LF alone is taken as well, since people type commands by hand with netcat.
"""

from dataclasses import dataclass

from services.ftp.limits import LINE_OCTETS

IAC, DONT, DO, WONT, WILL, SB, IP, DM, SE = 255, 254, 253, 252, 251, 250, 244, 242, 240
_REFUSAL = {WILL: DONT, DO: WONT}
_LF, _CR, _NUL = b"\n", b"\r", b"\r\0"


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line passed the bound; what came of it is dropped."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The user wants attention: Telnet's Interrupt Process."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Octets to send back: an option is refused."""

    octets: bytes


TelnetEvent = Line | LongLine | Interrupt | Answer


class TelnetLines:
    """Holds a line that has begun, `limit_octets` of it at most, and where in a Telnet signal the octets stand."""

    def __init__(self, limit_octets: int = LINE_OCTETS) -> None:
        self._limit = limit_octets
        self._line = bytearray()
        self._is_long = False
        # Octets of a signal that has begun: IAC, and the octet after it.
        self._signal = bytearray()
        self._in_negotiation = False

    @property
    def waiting_octets(self) -> int:
        """Octets of a line that has not ended."""
        return len(self._line)

    def feed(self, data: bytes) -> list[TelnetEvent]:
        """Return what these octets complete."""
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
            # RFC 854: a carriage return that is none of a line's end is followed by NUL.
            events.append(Line(bytes(self._line).removesuffix(_CR).replace(_NUL, _CR)))
        self._is_long = False
        self._line.clear()

    def _take_signal(self, octet: int, events: list[TelnetEvent]) -> None:
        if self._in_negotiation:
            # Everything up to IAC SE is of an option that was never agreed on.
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
            # Doubled: the octet itself.
            self._extend(bytes([IAC]))
        elif octet == SB:
            self._in_negotiation = True
        elif octet == IP:
            events.append(Interrupt())
