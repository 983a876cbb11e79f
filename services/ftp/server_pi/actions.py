"""Actions of server-PI and their results: the interface between the sans-IO session and the control connection.

An action is an object such as Send(octets), returned by the session and carried out by the connection, in order. A
Request is an action with a result, which the connection passes to ServerSession.resolved(). Until then the session
executes no further command, except ABOR, STAT and NOOP during a transfer. All other actions have no result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from lab7.services.ftp.files.listing import FileStatus, Style
from lab7.services.ftp.files.paths import VirtualPath
from lab7.services.ftp.grammar import DataAddress, DataType
from lab7.services.ftp.server_pi.failures import Failed


@dataclass(frozen=True, slots=True)
class Send:
    """Action returned by the sans-IO session: send octets on the control connection."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class LogEvent:
    """Action returned by the sans-IO session: write an event to the log."""

    event: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Close:
    """Action returned by the sans-IO session: close the control connection once all replies are sent."""


@dataclass(frozen=True, slots=True)
class CloseData:
    """Action returned by the sans-IO session: close the data connection and the passive port, if open."""


@dataclass(frozen=True, slots=True)
class AbortTransfer:
    """Action returned by the sans-IO session: abort the transfer in progress.

    The StartTransfer request of that transfer then has the result Failed(ABORTED).
    """


@dataclass(frozen=True, slots=True)
class LogOut:
    """Action returned by the sans-IO session: detach the user's account and files, and restart the login timeout."""


# Requests


@dataclass(frozen=True, slots=True)
class Pause:
    """I/O request of the session: wait before the reply to a wrong password (RFC 2577 section 5). Result: Done."""


class Credential(Enum):
    """Kind of credential in a login step: user name, password or account (USER, PASS, ACCT)."""

    NAME = auto()
    PASSWORD = auto()
    ACCOUNT = auto()


@dataclass(frozen=True, slots=True)
class Authenticate:
    """I/O request of the session: check a credential of `user`. Result: Admitted or Rejected."""

    user: str
    credential: Credential
    value: str = ""


@dataclass(frozen=True, slots=True)
class OpenPassive:
    """I/O request of the session: listen for the client's data connection. Result: Listening or Failed."""


@dataclass(frozen=True, slots=True)
class Stat:
    """I/O request of the session: get the status of a file. Result: StatResult or Failed.

    With `directory`, the path must be an accessible directory.
    """

    path: VirtualPath
    directory: bool = False


@dataclass(frozen=True, slots=True)
class TransferSize:
    """I/O request of the session: count the octets that RETR would send. Result: Size or Failed."""

    path: VirtualPath
    data_type: DataType


@dataclass(frozen=True, slots=True)
class Describe:
    """I/O request of the session: list names for the reply itself (STAT with a path, MLST). Result: Lines or Failed."""

    path: VirtualPath
    pattern: str | None
    style: Style
    facts: tuple[str, ...] = ()


class Change(Enum):
    """Kind of file system change in a ChangeName: creation, removal, renaming, change of mode or time."""

    MAKE_DIRECTORY = auto()
    REMOVE_DIRECTORY = auto()
    REMOVE_FILE = auto()
    RENAME = auto()
    CHANGE_MODE = auto()
    CHANGE_TIME = auto()


@dataclass(frozen=True, slots=True)
class ChangeName:
    """I/O request of the session: create, remove, rename or change a file or directory. Result: Done or Failed.

    `to` is the new path for RENAME, `mode` is for CHANGE_MODE, `modified_s`, in seconds since 1970 UTC, is for
    CHANGE_TIME.
    """

    change: Change
    path: VirtualPath
    to: VirtualPath = ()
    mode: int = 0
    modified_s: float = 0.0


@dataclass(frozen=True, slots=True)
class OpenRead:
    """I/O request of the session: open a file for sending from octet `offset` on. Result: Opened or Failed."""

    path: VirtualPath
    data_type: DataType
    offset: int


class StoreMode(Enum):
    """Mode of storing a file: STOR (replace), APPE (append), STOU (new name)."""

    WHOLE = auto()
    APPENDED = auto()
    UNIQUE = auto()


@dataclass(frozen=True, slots=True)
class OpenWrite:
    """I/O request of the session: open a file for receiving. Result: Opened or Failed."""

    path: VirtualPath
    data_type: DataType
    offset: int
    storing: StoreMode


@dataclass(frozen=True, slots=True)
class OpenListing:
    """I/O request of the session: prepare a listing for the data connection. Result: Opened or Failed.

    `prefix` is put before each name in a reply to NLST, so that the client can use the result in RETR (RFC 1123 section
    4.1.2.7). `facts` are the names of the facts for MLSD.
    """

    path: VirtualPath
    pattern: str | None
    style: Style
    prefix: str = ""
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StartTransfer:
    """I/O request of the session: transfer the opened file or listing. Result: TransferComplete or Failed.

    `target` is the address to which the server opens the data connection in active mode; None in passive mode, in which
    the client connects.
    """

    target: DataAddress | None


Opening = OpenRead | OpenWrite | OpenListing
Request = Pause | Authenticate | OpenPassive | Stat | TransferSize | Describe | ChangeName | Opening | StartTransfer
Action = Send | LogEvent | Close | CloseData | AbortTransfer | LogOut | Request

# Results


@dataclass(frozen=True, slots=True)
class Done:
    """Result that carries no data: the session's I/O request has been carried out."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """Result of Authenticate: the credential is valid.

    `next_credential`: the credential of the next login step, None once the login is complete; `account_to_store`: ACCT
    is required before a file is stored.
    """

    next_credential: Credential | None = None
    account_to_store: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """Result of Authenticate: the credential is invalid."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Result of OpenPassive: address and port on which the server listens for the data connection."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class StatResult:
    """Result of Stat: the status of a file or directory."""

    status: FileStatus


@dataclass(frozen=True, slots=True)
class Size:
    """Result of TransferSize: a size in octets."""

    octets: int


@dataclass(frozen=True, slots=True)
class Lines:
    """Result of Describe: the lines of a listing of a directory or a file."""

    lines: tuple[str, ...]
    is_directory: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """Result of opening a file or listing: size in octets (None if unknown), and the name that STOU has chosen."""

    octets: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class TransferComplete:
    """Result of StartTransfer: the transfer is complete. `remark` is a sentence to append to reply 226."""

    octets: int
    remark: str = ""


Result = Done | Admitted | Rejected | Listening | StatResult | Size | Lines | Opened | TransferComplete | Failed
