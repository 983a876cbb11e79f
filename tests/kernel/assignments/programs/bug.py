"""A bug of a student's program: edits of the right one, the stage that it fails, and its message."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """One bug: (old, new) edits of the right server, the first stage that is not passed, and parts of its message."""

    name: str
    edits: tuple[tuple[str, str], ...]
    stage: str
    message: tuple[str, ...]

    def program(self, right: str) -> str:
        """Return the source of the right server with this bug; every edit must apply once."""
        for old, new in self.edits:
            assert right.count(old) == 1, (self.name, old)
            right = right.replace(old, new)
        return right
