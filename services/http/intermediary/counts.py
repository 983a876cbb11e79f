"""What an intermediary has done since it started, as numbers that only grow."""

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Counts:
    """Requests by what became of them.

    requests        that were taken, refused ones counted
    hits            answered from the cache without asking the origin
    stale_hits      of those, answered with something stale, for a reason that RFC 5861 or 9111 gives
    misses          forwarded because nothing stored could answer
    revalidations   forwarded with a validator, on behalf of a client or in the background
    not_modified    of those, answered 304 by the origin
    collapsed       answered by a response that another request was waiting for
    failures        for which the origin gave no usable response
    refused         by this proxy's own rules
    tunnels         opened by CONNECT
    """

    requests: int = 0
    hits: int = 0
    stale_hits: int = 0
    misses: int = 0
    revalidations: int = 0
    not_modified: int = 0
    collapsed: int = 0
    failures: int = 0
    refused: int = 0
    tunnels: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the numbers by name."""
        return asdict(self)
