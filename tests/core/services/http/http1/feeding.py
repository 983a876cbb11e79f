"""Feed a connection the same octets in every way, and gather what comes out."""

from collections.abc import Callable, Iterable

from services.http.messages import Data, Event

Receive = Callable[[bytes], list[Event]]


def joined(events: Iterable[Event]) -> list[Event]:
    """Events with adjacent Data made one, since where content is cut says nothing."""
    out: list[Event] = []
    for event in events:
        if isinstance(event, Data) and out and isinstance(out[-1], Data):
            out[-1] = Data(out[-1].data + event.data)
        else:
            out.append(event)
    return out


def feed(receive: Receive, pieces: Iterable[bytes]) -> list[Event]:
    """Return all events of these pieces."""
    return joined([event for piece in pieces for event in receive(piece)])


def octet_by_octet(octets: bytes) -> list[bytes]:
    """Cut octets into pieces of one."""
    return [octets[i : i + 1] for i in range(len(octets))]
