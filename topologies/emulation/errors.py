"""Error types of the emulation; each message is one sentence with a remedy."""


class EmulationError(Exception):
    """Base error: a network cannot be built or used as requested; the message is one sentence for the user."""


class MachineError(EmulationError):
    """Error for a machine on which a required tool, kernel feature or permission is missing."""


class TopologyError(EmulationError):
    """Error for an invalid topology: a duplicate address, a name too long, a parameter out of range."""


class UserFileError(TopologyError):
    """Error for an unusable Python file of the user; the message names the file and, if known, the line."""
