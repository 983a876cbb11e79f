"""The two ways in which a command fails (RFC 3501 section 7.1)."""

from services.mail.maildir.errors import (
    FolderExistsError,
    FolderNameError,
    MessageGoneError,
    MessageTooLargeError,
    NoFolderError,
    QuotaExceededError,
    TooManyKeywordsError,
)

# What a client is told when the store cannot do what it asked (RFC 5530 for the codes).

_CODES: tuple[tuple[type[Exception], str], ...] = (
    (FolderNameError, "CANNOT"),
    (NoFolderError, "NONEXISTENT"),
    (FolderExistsError, "ALREADYEXISTS"),
    (MessageGoneError, "EXPUNGEISSUED"),
    (QuotaExceededError, "OVERQUOTA"),
    (MessageTooLargeError, "TOOBIG"),
    (TooManyKeywordsError, "LIMIT"),
)


def refusal(error: Exception) -> str:
    """Return the text of the tagged NO; of an error of the disk no more than that there was one."""
    if isinstance(error, OSError):
        return "[UNAVAILABLE] The mailbox cannot be used at the moment."
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "CANNOT")
    return f"[{code}] {error}"


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
