"""The two ways in which a command fails (RFC 3501 section 7.1)."""


class BadError(Exception):
    """BAD: the command cannot be read, or has no place here."""


class NoError(Exception):
    """NO: the command was understood and did not succeed; `code` is a response code without its brackets."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class ByeError(Exception):
    """BYE: the session cannot go on."""
