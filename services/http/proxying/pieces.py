"""Content put together of what is stored and what arrives (RFC 9111 section 3.4)."""

from collections.abc import Sequence

from services.http.messages import Arriving, Body


class Pieces(Arriving):
    """Several contents, one after the other; raises OSError where one of them cannot be had."""

    def __init__(self, bodies: Sequence[Body | Arriving]) -> None:
        sizes = [body.size_octets for body in bodies]
        super().__init__(sum(size for size in sizes if size is not None) if None not in sizes else None)
        self._bodies = list(reversed(bodies))
        for body in bodies:
            if isinstance(body, Arriving):
                body.on_more = self._more

    def read(self, limit_octets: int) -> bytes | None:
        """Return the next octets, b"" at the end, None while nothing is there."""
        while self._bodies:
            data = self._bodies[-1].read(limit_octets)
            if data is None or data:
                return data
            self._bodies.pop().close()
        return b""

    def close(self) -> None:
        """Let go of all of them."""
        while self._bodies:
            self._bodies.pop().close()

    def _more(self) -> None:
        self.on_more()
