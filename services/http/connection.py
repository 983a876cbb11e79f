"""What both sides of an HTTP/1 connection share: the unparsed octets, the two halves' states, and the events so far.

A peer's mistake comes out as a Fault event, the last one; a mistake of this side raises LocalProtocolError.
"""

from collections.abc import Callable

from services.buffer import OctetBuffer
from services.errors import LimitExceededError
from services.http import limits
from services.http.body import BodyDecoder, LengthDecoder
from services.http.errors import HTTPError
from services.http.messages import (
    Data,
    Event,
    Fault,
)
from services.http.states import Half, Signal, move


class Connection:
    """What both roles share: the buffer, the two halves, and the drain loop."""

    def __init__(self, body_limit_octets: int) -> None:
        self.receiving = Half.IDLE
        self.sending = Half.IDLE
        self.persistent = True
        self._body_limit_octets = body_limit_octets
        self._buffer = OctetBuffer(limits.UNPARSED_OCTETS)
        self._decoder: BodyDecoder = LengthDecoder(0)

    @property
    def waiting_octets(self) -> int:
        """How much came that is not yet parsed."""
        return len(self._buffer)

    def _drain(self, step: Callable[[], list[Event]]) -> list[Event]:
        """Return all events that `step` makes of what is there; it returns none when it needs more."""
        events: list[Event] = []
        try:
            while came := step():
                events += came
        except HTTPError as error:
            events.append(self._fail(error.status, error.detail))
        return events

    def _feed(self, data: bytes) -> Fault | None:
        try:
            self._buffer.feed(data)
        except LimitExceededError as error:
            return self._fail(400, str(error))
        return None

    def _fail(self, status: int, detail: str) -> Fault:
        self.receiving = move(self.receiving, Signal.FAULT)
        self.persistent = False
        return Fault(status, detail)

    def _body_step(self) -> list[Event]:
        event = self._decoder.step(self._buffer)
        if event is None:
            return []
        self.receiving = move(self.receiving, Signal.DATA if isinstance(event, Data) else Signal.END)
        return [event]
