"""The errors that emulation raises, each one sentence that says what to do."""


class EmulationError(Exception):
    """A network could not be built or used as asked; the message is one sentence for a person."""


class MachineError(EmulationError):
    """This machine cannot do what was asked: a tool, a kernel feature or a permission is missing."""


class DrawingError(EmulationError):
    """A topology asks for something that cannot be: a duplicate address, a name too long, a bad parameter."""


class OwnFileError(DrawingError):
    """A file of a person's own cannot be used; the message names the file and, where it is known, the line."""
