"""Input of a connection in pieces of any size, and the events from it."""

from collections.abc import Callable, Iterable

from lab7.services.http.messages import Data, Event

Receive = Callable[[bytes], list[Event]]


def joined(events: Iterable[Event]) -> list[Event]:
    """Merge adjacent Data events, since their boundaries have no meaning."""
    out: list[Event] = []
    for event in events:
        if isinstance(event, Data) and out and isinstance(out[-1], Data):
            out[-1] = Data(out[-1].data + event.data)
        else:
            out.append(event)
    return out


def feed(receive: Receive, pieces: Iterable[bytes]) -> list[Event]:
    """Feed pieces and return all events."""
    return joined([event for piece in pieces for event in receive(piece)])


def octet_by_octet(octets: bytes) -> list[bytes]:
    """Split octets into pieces of one."""
    return [octets[i : i + 1] for i in range(len(octets))]
