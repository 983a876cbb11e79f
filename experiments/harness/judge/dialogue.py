"""Lines of a line protocol as they were captured (SMTP, POP3, IMAP, FTP)."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.harness.judge.reassembly import Piece


@dataclass(frozen=True)
class Said:
    """What one end said, as it crossed the wire."""

    octets: bytes
    pieces: tuple[Piece, ...]

    @property
    def frame(self) -> int:
        """The frame that carried its last octet: with it, it was said."""
        return self.pieces[-1].frame

    @property
    def first_ns(self) -> int:
        """When its first octet was seen."""
        return self.pieces[0].time_ns

    @property
    def last_ns(self) -> int:
        """When the last of its octets was seen, whichever that was."""
        return max(piece.time_ns for piece in self.pieces)

    @property
    def text(self) -> str:
        """Its first line as a person reads it."""
        return self.octets.partition(b"\r\n")[0].decode(errors="replace")
