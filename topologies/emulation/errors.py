"""Error types of the emulation; each message is one sentence with a remedy."""


class EmulationError(Exception):
    """A network could not be built or used as requested; the message is one sentence for the user."""


class MachineError(EmulationError):
    """This machine cannot do it: a tool, a kernel feature or a permission is missing."""


class TopologyError(EmulationError):
    """An invalid topology: a duplicate address, a name too long, a parameter out of range."""


class UserFileError(TopologyError):
    """An unusable file of the user; the message names the file and, where it is known, the line."""
