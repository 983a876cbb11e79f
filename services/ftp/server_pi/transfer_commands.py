"""Transfer commands RETR, STOR, STOU, APPE, LIST, NLST, MLSD, and ABOR (RFC 959 section 4.1.3).

    U: RETR a.txt     S: 150 (125 if the connection is open), then octets on the data connection, then 226

A failure before the transfer is reported instead of 150, a later failure after 150, with the codes of RFC 959 section
5.4. One deviation: LIST and NLST reply 550 (file not found, section 4.2) if the file is missing. Section 5.4 lists only
450 for them, after which clients would retry.
"""

from collections.abc import Mapping

from lab7.services.ftp.files.listing import Kind, Style
from lab7.services.ftp.files.paths import VirtualPath, has_wildcard, strip_flags
from lab7.services.ftp.server_pi.actions import (
    CloseData,
    Opened,
    Opening,
    OpenListing,
    OpenRead,
    OpenWrite,
    Result,
    StartTransfer,
    Stat,
    StatResult,
    StoreMode,
    TransferComplete,
)
from lab7.services.ftp.server_pi.failures import ACTION_CODES, NAMING_CODES, TRANSFER_CODES, Cause, Failed
from lab7.services.ftp.server_pi.session import ServerSession


def retrieve(session: ServerSession, argument: str) -> None:
    """Handle RETR: send a file on the data connection."""
    opening = OpenRead(session.path(argument), session.data_type, session.restart_offset)
    _transfer(session, opening, ACTION_CODES)


def store(session: ServerSession, argument: str) -> None:
    """Handle STOR: store a file that is received on the data connection."""
    _store(session, argument, StoreMode.WHOLE)


def append(session: ServerSession, argument: str) -> None:
    """Handle APPE: append the received octets to a file, or create the file."""
    _store(session, argument, StoreMode.APPENDED)


def store_unique(session: ServerSession, argument: str) -> None:
    """Handle STOU: store a file under a new name; reply 125 or 150 contains its path (RFC 1123 section 4.1.2.9)."""
    _store(session, argument, StoreMode.UNIQUE)


def list_long(session: ServerSession, argument: str) -> None:
    """Handle LIST: send a listing in the format of `ls -l`."""
    _list(session, argument, Style.LONG)


def list_names(session: ServerSession, argument: str) -> None:
    """Handle NLST: send a listing of names."""
    _list(session, argument, Style.NAMES)


def list_facts(session: ServerSession, argument: str) -> None:
    """Handle MLSD: send a directory listing of facts; reply 501 if the path is a file (RFC 3659 section 7.2)."""
    path = session.path(argument)
    # RFC 959 section 4.1.3: REST applies to the next transfer command only; MLSD counts as one.
    session.restart_offset = 0

    def on_status(result: Result) -> None:
        if isinstance(result, StatResult) and result.status.kind is not Kind.DIRECTORY:
            session.reply(501, "Not a directory: use MLST for the facts of a file.")
        else:
            _transfer(session, OpenListing(path, None, Style.FACTS, facts=session.facts), ACTION_CODES)

    session.attempt(Stat(path), on_status)


def abort(session: ServerSession, _: str) -> None:
    """Handle ABOR without a transfer in progress: close the data connection.

    The session itself aborts a transfer in progress, with reply 426, as soon as ABOR arrives.
    """
    had_connection = session.data_is_open
    session.forget_data_port()
    session.act(CloseData())
    if had_connection:
        session.reply(225, "No transfer to abort; data connection closed.")
    else:
        session.reply(226, "No transfer to abort; no data connection open.")


def target_of_listing(session: ServerSession, argument: str) -> tuple[VirtualPath, str | None]:
    """Parse the argument of a listing command; return (path, file name pattern or None).

    Wildcards may occur in the last name only.
    """
    path = session.path(strip_flags(argument))
    if path and has_wildcard(path[-1]):
        return path[:-1], path[-1]
    return path, None


def _list(session: ServerSession, argument: str, style: Style) -> None:
    path, pattern = target_of_listing(session, argument)
    prefix = _prefix(strip_flags(argument), pattern is not None)
    _transfer(session, OpenListing(path, pattern, style, prefix), ACTION_CODES)


def _prefix(argument: str, is_pattern: bool) -> str:
    if is_pattern:
        return argument[: argument.rfind("/") + 1]
    return argument if argument in ("", "/") or argument.endswith("/") else argument + "/"


def _store(session: ServerSession, argument: str, storing: StoreMode) -> None:
    if session.account_to_store:
        session.restart_offset = 0
        session.reply(532, "Account required for storing files: use ACCT.")
        return
    path = session.path(argument)
    offset = session.restart_offset
    _transfer(session, OpenWrite(path, session.data_type, offset, storing), NAMING_CODES)


def _transfer(session: ServerSession, opening: Opening, codes: Mapping[Cause, int]) -> None:
    session.restart_offset = 0
    if session.target is None and not session.is_passive:
        session.target = session.default_target
    if session.target is None and not session.is_passive:
        session.reply(425, "Use PORT, PASV, EPRT or EPSV first.")
        return

    def opened(result: Result) -> None:
        if isinstance(result, Failed):
            # PORT or PASV is valid for one transfer only, so a failed transfer ends the data connection, too.
            _end_data(session)
            session.fail(result, codes)
        elif isinstance(result, Opened):
            _begin(session, result)

    session.request(opening, opened)


def _begin(session: ServerSession, opened: Opened) -> None:
    code = 125 if session.data_is_open else 150
    size = "" if opened.octets is None else f" ({opened.octets} bytes)"
    if opened.name:
        session.reply(code, f"FILE: {opened.name}")
    elif session.data_is_open:
        session.reply(code, f"Data connection already open; transfer starting{size}.")
    else:
        session.reply(code, f"Opening data connection{size}.")
    session.request(StartTransfer(session.target), lambda result: _moved(session, result))


def _moved(session: ServerSession, result: Result) -> None:
    _end_data(session)
    if isinstance(result, TransferComplete):
        session.reply(226, f"Transfer complete. {result.remark}".rstrip())
    elif isinstance(result, Failed):
        session.fail(result, TRANSFER_CODES)


def _end_data(session: ServerSession) -> None:
    session.forget_data_port()
    session.act(CloseData())
