"""What a client is told when the store cannot do what it asked (RFC 5530 for the codes)."""

from services.mail.maildir.errors import (
    FolderExistsError,
    FolderNameError,
    MessageGoneError,
    MessageTooLargeError,
    NoFolderError,
    QuotaExceededError,
    TooManyKeywordsError,
)

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
