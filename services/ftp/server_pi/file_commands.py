"""File commands without a data connection: CWD, CDUP, PWD, MKD, RMD, DELE, RNFR, RNTO, SIZE, MDTM, MFMT, MLST, CHMOD.

The commands are specified in RFC 959 sections 4.1.1 and 4.1.3 and in RFC 3659, MFMT in draft-somers-ftp-mfxx-04. CDUP
gets reply 250 like CWD, as RFC 959 section 4.1.1 requires, although the list in section 5.4 has 200.
"""

from collections.abc import Mapping

from lab7.services.ftp.files.listing import Kind, Style, parse_time_value, time_value
from lab7.services.ftp.files.paths import VirtualPath, format_path
from lab7.services.ftp.replies import quoted
from lab7.services.ftp.server_pi.actions import (
    Change,
    ChangeName,
    Describe,
    Lines,
    Result,
    Size,
    Stat,
    StatResult,
    TransferSize,
)
from lab7.services.ftp.server_pi.failures import ACTION_CODES, NAMING_CODES, Cause
from lab7.services.ftp.server_pi.session import ServerSession, State


def change_directory(session: ServerSession, argument: str) -> None:
    """Handle CWD and XCWD: change the working directory."""
    path = session.path(argument)

    def on_status(_: Result) -> None:
        session.directory = path
        session.reply(250, f"Directory changed to {quoted(format_path(path))}.")

    session.attempt(Stat(path, directory=True), on_status)


def change_to_parent(session: ServerSession, _: str) -> None:
    """Handle CDUP and XCUP: change to the parent directory."""
    change_directory(session, "..")


def print_directory(session: ServerSession, _: str) -> None:
    """Handle PWD and XPWD: reply with the working directory."""
    session.reply(257, f"{quoted(format_path(session.directory))} is the current directory.")


def make_directory(session: ServerSession, argument: str) -> None:
    """Handle MKD and XMKD: create a directory."""
    path = session.path(argument)
    text = f"{quoted(format_path(path))} created."
    _change(session, ChangeName(Change.MAKE_DIRECTORY, path), 257, text)


def remove_directory(session: ServerSession, argument: str) -> None:
    """Handle RMD and XRMD: remove an empty directory."""
    _change(session, ChangeName(Change.REMOVE_DIRECTORY, session.path(argument)), 250, "Directory removed.")


def delete(session: ServerSession, argument: str) -> None:
    """Handle DELE: remove a file."""
    _change(session, ChangeName(Change.REMOVE_FILE, session.path(argument)), 250, "File deleted.")


def rename_from(session: ServerSession, argument: str) -> None:
    """Handle RNFR: check that the file exists, and expect RNTO as the next command."""
    path = session.path(argument)
    session.state = State.READY

    def on_status(_: Result) -> None:
        session.rename_from = path
        session.state = State.RENAMING
        session.reply(350, "Ready for RNTO.")

    session.attempt(Stat(path), on_status)


def rename_to(session: ServerSession, argument: str) -> None:
    """Handle RNTO: rename the file that the preceding RNFR named."""
    session.state = State.READY
    change = ChangeName(Change.RENAME, session.rename_from, to=session.path(argument))
    _change(session, change, 250, "Rename successful.", NAMING_CODES)


def size(session: ServerSession, argument: str) -> None:
    """Handle SIZE: reply with the octets that RETR would send in the current TYPE (RFC 3659 section 4)."""

    def on_status(result: Result) -> None:
        if isinstance(result, Size):
            session.reply(213, str(result.octets))

    session.attempt(TransferSize(session.path(argument), session.data_type), on_status)


def modification_time(session: ServerSession, argument: str) -> None:
    """Handle MDTM: reply with the modification time of a file (RFC 3659 section 3)."""

    def on_status(result: Result) -> None:
        if isinstance(result, StatResult) and result.status.kind is Kind.FILE:
            session.reply(213, time_value(result.status.modified_s))
        else:
            session.reply(550, "Not a plain file.")

    session.attempt(Stat(session.path(argument)), on_status)


def set_modification_time(session: ServerSession, argument: str) -> None:
    """Handle `MFMT time-val path`, which clients send after an upload to preserve the time of the file."""
    value, _, name = argument.partition(" ")
    modified_s = parse_time_value(value)
    if modified_s is None or not name:
        session.reply(501, "Syntax: MFMT YYYYMMDDhhmmss path (UTC, from 1970 on)")
        return
    path = session.path(name)
    text = f"Modify={time_value(modified_s)}; {format_path(path)}"
    _change(session, ChangeName(Change.CHANGE_TIME, path, modified_s=modified_s), 213, text)


def list_one(session: ServerSession, argument: str) -> None:
    """Handle MLST: reply with the facts of one name, on the control connection (RFC 3659 section 7)."""
    path: VirtualPath = session.path(argument)

    def on_status(result: Result) -> None:
        if isinstance(result, Lines):
            session.reply(250, f"Listing {format_path(path)}", *(" " + line for line in result.lines), "End.")

    session.attempt(Describe(path, None, Style.FACTS, session.facts), on_status)


def change_mode(session: ServerSession, argument: str) -> None:
    """Handle `SITE CHMOD mode path`, which clients send after an upload to preserve permissions."""
    digits, _, name = argument.partition(" ")
    if not (len(digits) in (3, 4) and set(digits) <= set("01234567")) or not name:
        session.reply(501, "Syntax: SITE CHMOD mode path")
        return
    # Users cannot set the set-user-id, set-group-id and sticky bits.
    change = ChangeName(Change.CHANGE_MODE, session.path(name), mode=int(digits, 8) & 0o777)
    _change(session, change, 200, "Mode changed.")


def _change(
    session: ServerSession, change: ChangeName, code: int, text: str, codes: Mapping[Cause, int] = ACTION_CODES
) -> None:
    session.attempt(change, lambda _: session.reply(code, text), codes)
