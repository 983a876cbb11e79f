"""Exceptions of IMAP command handlers, one per failure response: BAD, NO, BYE (RFC 3501 section 7.1, RFC 5530)."""

from lab7.services.mail.maildir.errors import (
    FolderExistsError,
    FolderNameError,
    MessageGoneError,
    MessageTooLargeError,
    NoFolderError,
    QuotaExceededError,
    TooManyKeywordsError,
)

# Response codes of NO for failures of the mailbox store (RFC 5530 section 3).
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (FolderNameError, "CANNOT"),
    (NoFolderError, "NONEXISTENT"),
    (FolderExistsError, "ALREADYEXISTS"),
    (MessageGoneError, "EXPUNGEISSUED"),
    (QuotaExceededError, "OVERQUOTA"),
    (MessageTooLargeError, "TOOBIG"),
    (TooManyKeywordsError, "LIMIT"),
)
# Response code of an OK: another session expunged some of the command's messages (RFC 5530 section 3).
EXPUNGED_CODE = "[EXPUNGEISSUED] "
EXPUNGED_TEXT = "Some of the messages have been removed."


def store_failure_text(error: Exception) -> str:
    """Return the text of the tagged NO for a failure of the mailbox store; details of an OSError are not disclosed."""
    if isinstance(error, OSError):
        return "[UNAVAILABLE] The mailbox cannot be used at the moment."
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "CANNOT")
    return f"[{code}] {error}"


class BadError(Exception):
    """Error answered by BAD: a syntax error, or a command that is not permitted in the session's state."""


class NoError(Exception):
    """Error answered by NO: a valid command failed; `code` is a response code without brackets."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class ByeError(Exception):
    """Error answered by BYE: the server ends the session."""
