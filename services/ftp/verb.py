"""What one row of the table of commands says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.ftp.state import State

if TYPE_CHECKING:
    from services.ftp.session import ServerSession

Handler = Callable[["ServerSession", str], None]


@dataclass(frozen=True, slots=True)
class Verb:
    """A command: `syntax` is its argument as HELP shows it, `[...]` for one that may be left out, empty for none."""

    states: frozenset[State]
    handle: Handler
    syntax: str = ""
    out_of_sequence: str = "Bad sequence of commands."

    def takes(self, argument: bytes) -> bool:
        """Tell whether there is an argument where one is asked for, and none where none is."""
        if not self.syntax:
            return not argument.strip()
        return bool(argument) or self.syntax.startswith("[")
