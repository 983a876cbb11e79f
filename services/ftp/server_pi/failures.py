"""Failure causes of file operations and transfers, and the FTP reply code of each cause (RFC 959 section 5.4).

The code also depends on the kind of command: a missing directory gives 550 to RETR, but 553 to STOR.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Cause(Enum):
    """Cause of a failed file action or transfer, from which the reply code follows."""

    NOT_FOUND = auto()
    DENIED = auto()
    NOT_A_FILE = auto()
    NOT_A_DIRECTORY = auto()
    EXISTS = auto()
    NOT_EMPTY = auto()
    NAME_REFUSED = auto()
    BUSY = auto()
    BAD_RESTART = auto()
    TOO_COSTLY = auto()
    DISK_FULL = auto()
    QUOTA_USED_UP = auto()
    QUOTA_EXCEEDED = auto()
    LOCAL_ERROR = auto()
    NO_CONNECTION = auto()
    CONNECTION_BROKEN = auto()
    ABORTED = auto()
    STALLED = auto()


@dataclass(frozen=True, slots=True)
class Failed:
    """Result of an I/O request that failed: the cause, and the text of the reply (`detail`, or else a default)."""

    cause: Cause
    detail: str = ""


# Replies to failures of reading, creating, moving or removing a file: 450 if a retry may succeed.
ACTION_CODES = {
    Cause.NOT_FOUND: 550,
    Cause.DENIED: 550,
    Cause.NOT_A_FILE: 550,
    Cause.NOT_A_DIRECTORY: 550,
    Cause.EXISTS: 550,
    Cause.NOT_EMPTY: 550,
    Cause.NAME_REFUSED: 550,
    Cause.TOO_COSTLY: 550,
    Cause.BUSY: 450,
    Cause.LOCAL_ERROR: 451,
    Cause.DISK_FULL: 452,
    Cause.QUOTA_USED_UP: 452,
    # RFC 3659 section 5.4 has 554 for a transfer that cannot start at the offset of REST; section 5.3 has no code.
    Cause.BAD_RESTART: 554,
}

# Replies to failures of storing or renaming a file, for which RFC 959 section 5.4 has 553 instead of 550.
NAMING_CODES = ACTION_CODES | dict.fromkeys(
    (
        Cause.NOT_FOUND,
        Cause.DENIED,
        Cause.NOT_A_FILE,
        Cause.NOT_A_DIRECTORY,
        Cause.EXISTS,
        Cause.NAME_REFUSED,
        Cause.NOT_EMPTY,
    ),
    553,
)

# Replies to failures of a transfer, after 125 or 150.
TRANSFER_CODES = {
    Cause.NO_CONNECTION: 425,
    Cause.CONNECTION_BROKEN: 426,
    Cause.ABORTED: 426,
    Cause.STALLED: 426,
    Cause.LOCAL_ERROR: 451,
    Cause.DISK_FULL: 452,
    Cause.QUOTA_USED_UP: 552,
    Cause.QUOTA_EXCEEDED: 552,
}

TEXTS = {
    Cause.NOT_FOUND: "No such file or directory.",
    Cause.DENIED: "Permission denied.",
    Cause.NOT_A_FILE: "Not a plain file.",
    Cause.NOT_A_DIRECTORY: "Not a directory.",
    Cause.EXISTS: "The file already exists.",
    Cause.NOT_EMPTY: "The directory is not empty.",
    Cause.NAME_REFUSED: "File name not allowed.",
    Cause.BUSY: "The file is in use; try again later.",
    Cause.BAD_RESTART: "Invalid restart offset.",
    Cause.TOO_COSTLY: "SIZE in TYPE A is not available for a file of this size; use TYPE I.",
    Cause.DISK_FULL: "Insufficient storage space.",
    Cause.QUOTA_USED_UP: "Your quota is used up.",
    Cause.QUOTA_EXCEEDED: "Quota exceeded.",
    Cause.LOCAL_ERROR: "Local error in processing.",
    Cause.NO_CONNECTION: "Cannot open the data connection.",
    Cause.CONNECTION_BROKEN: "Connection closed; transfer aborted.",
    Cause.ABORTED: "Transfer aborted.",
    Cause.STALLED: "Data connection timed out; transfer aborted.",
}


def failure_text(failed: Failed) -> str:
    """Return the text of the reply after a failed I/O request: its detail, or else the default text for its cause."""
    return failed.detail or TEXTS[failed.cause]
