"""What a session wants done, and what comes back: the whole traffic between server_pi's core and its shell.

The shell carries out actions in their order. An Ask is answered by `ServerSession.resolved(result)`, once, and no
further command is taken up until then; the others need no answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from services.ftp.files.listing import FileStatus, Style
from services.ftp.files.paths import VirtualPath
from services.ftp.grammar import DataAddress, DataType
from services.ftp.server_pi.failures import Failed


@dataclass(frozen=True, slots=True)
class Send:
    """Send octets on the control connection."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """Write an event to the log."""

    event: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Close:
    """Close the control connection once all was sent."""


@dataclass(frozen=True, slots=True)
class CloseData:
    """Drop the data connection and the listening port, whichever there is."""


@dataclass(frozen=True, slots=True)
class AbortTransfer:
    """End the Move under way; it is answered with Failed(ABORTED), or as it ended if it was quicker."""


@dataclass(frozen=True, slots=True)
class LogOut:
    """Forget the user, and whatever was opened for them."""


# Asks


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the reply to a wrong password (RFC 2577 section 5); answered with Done."""


class Credential(Enum):
    """What a login step shows."""

    NAME = auto()
    PASSWORD = auto()
    ACCOUNT = auto()


@dataclass(frozen=True, slots=True)
class Authenticate:
    """May `user` go on by this? Answered with Admitted or Rejected."""

    user: str
    shows: Credential
    value: str = ""


@dataclass(frozen=True, slots=True)
class OpenPassive:
    """Listen for the user's data connection; answered with Listening or Failed."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is there? Answered with Found or Failed. With `directory`, only a directory that may be entered is found."""

    path: VirtualPath
    directory: bool = False


@dataclass(frozen=True, slots=True)
class TransferSize:
    """How many octets would RETR send? Answered with Size or Failed."""

    path: VirtualPath
    data_type: DataType


@dataclass(frozen=True, slots=True)
class Describe:
    """The lines of a listing for the control connection (STAT, MLST); answered with Lines or Failed."""

    path: VirtualPath
    pattern: str | None
    style: Style
    facts: tuple[str, ...] = ()


class Change(Enum):
    """An action on a name that has no result but success."""

    MAKE_DIRECTORY = auto()
    REMOVE_DIRECTORY = auto()
    REMOVE_FILE = auto()
    RENAME = auto()
    CHANGE_MODE = auto()


@dataclass(frozen=True, slots=True)
class ChangeName:
    """Change the file system; answered with Done or Failed. `to` is for RENAME, `mode` for CHANGE_MODE."""

    change: Change
    path: VirtualPath
    to: VirtualPath = ()
    mode: int = 0


@dataclass(frozen=True, slots=True)
class OpenRead:
    """Open a file to send it from `offset` on; answered with Opened or Failed."""

    path: VirtualPath
    data_type: DataType
    offset: int


class Storing(Enum):
    """How a file is stored."""

    WHOLE = auto()
    APPENDED = auto()
    UNIQUE = auto()


@dataclass(frozen=True, slots=True)
class OpenWrite:
    """Open a file to store it; answered with Opened or Failed."""

    path: VirtualPath
    data_type: DataType
    offset: int
    storing: Storing


@dataclass(frozen=True, slots=True)
class OpenListing:
    """Prepare a listing for the data connection; answered with Opened or Failed.

    `prefix` goes before each name of NLST, so that it can be used as it is (RFC 1123 section 4.1.2.7); `facts` are for
    MLSD.
    """

    path: VirtualPath
    pattern: str | None
    style: Style
    prefix: str = ""
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """Make the data connection if there is none, and move what was opened; answered with Moved or Failed.

    `target` is where to connect to (active mode), None for the connection to the listening port.
    """

    target: DataAddress | None


Opening = OpenRead | OpenWrite | OpenListing
Ask = Pause | Authenticate | OpenPassive | Look | TransferSize | Describe | ChangeName | Opening | Move
Action = Send | Note | Close | CloseData | AbortTransfer | LogOut | Ask

# Results


@dataclass(frozen=True, slots=True)
class Done:
    """It was done."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The credential is right; `wants` is what has to be shown next, None for nothing.

    `account_to_store` tells that ACCT has to come before anything is stored.
    """

    wants: Credential | None = None
    account_to_store: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """The credential is wrong."""


@dataclass(frozen=True, slots=True)
class Listening:
    """The user may connect there."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Found:
    """What was looked for."""

    status: FileStatus


@dataclass(frozen=True, slots=True)
class Size:
    """A count of octets."""

    octets: int


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a listing; `is_directory` tells of what."""

    lines: tuple[str, ...]
    is_directory: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """It can be moved: `octets` of it where that is known, under `name` where the server chose that."""

    octets: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """All of it was moved; `remark` is for the user."""

    octets: int
    remark: str = ""


Result = Done | Admitted | Rejected | Listening | Found | Size | Lines | Opened | Moved | Failed
