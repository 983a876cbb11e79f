"""Error types of the emulation; each message is one sentence that includes a remedy."""

from pathlib import Path


class EmulationError(Exception):
    """Base class of errors for a network that cannot be built or used as requested.

    The message is one sentence for the user.
    """


class MachineError(EmulationError):
    """Error for a machine on which a required tool, kernel feature or permission is missing."""


class ProgramError(EmulationError):
    """Error for a program of the user (`--replace`) that does not start.

    `command`: command line of the program; `status`: its exit status, None while the program runs; `output`: file with
    its standard output and standard error.
    """

    def __init__(self, message: str, command: str, status: int | None, output: Path) -> None:
        super().__init__(message)
        self.command = command
        self.status = status
        self.output = output


class ArgumentError(EmulationError):
    """Error for an argument that is not the name of a part of the network, or an invalid value."""


class TopologyError(ArgumentError):
    """Error for an invalid topology: a duplicate address, a name too long, a parameter out of range."""


class UserFileError(TopologyError):
    """Error for an unusable Python file of the user; the message names the file and, if known, the line."""
