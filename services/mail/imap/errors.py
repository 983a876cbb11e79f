"""Command failures, by the response that each causes: BAD, NO or BYE (RFC 3501 section 7.1; codes of RFC 5530)."""

from services.mail.maildir.errors import (
    FolderExistsError,
    FolderNameError,
    MessageGoneError,
    MessageTooLargeError,
    NoFolderError,
    QuotaExceededError,
    TooManyKeywordsError,
)

# Response code of NO for each failure of the mail store (RFC 5530 section 3).

_CODES: tuple[tuple[type[Exception], str], ...] = (
    (FolderNameError, "CANNOT"),
    (NoFolderError, "NONEXISTENT"),
    (FolderExistsError, "ALREADYEXISTS"),
    (MessageGoneError, "EXPUNGEISSUED"),
    (QuotaExceededError, "OVERQUOTA"),
    (MessageTooLargeError, "TOOBIG"),
    (TooManyKeywordsError, "LIMIT"),
)


# RFC 5530 section 3: in the OK of a command on messages, some of which another session expunged.
EXPUNGED_CODE = "[EXPUNGEISSUED] "


def store_failure_text(error: Exception) -> str:
    """Return the text of the tagged NO for a failure of the store; details of an OSError are not disclosed."""
    if isinstance(error, OSError):
        return "[UNAVAILABLE] The mailbox cannot be used at the moment."
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "CANNOT")
    return f"[{code}] {error}"


class BadError(Exception):
    """BAD: a syntax error, or a command that is not valid in this state."""


class NoError(Exception):
    """NO: a valid command failed; `code` is a response code without brackets."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class ByeError(Exception):
    """BYE: the server ends the session."""
