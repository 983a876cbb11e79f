"""File system operations of FTP commands: opening files and listings for transfers, and SIZE, MDTM, MKD, RNTO etc.

The session, which interprets the commands without I/O of its own, issues requests (server_pi/actions.py); each function
carries out one of them. The functions block on the file system, so they are called in worker threads. All raise
FileError.
"""

import os

from lab7.services.ftp.files.jailed_tree import FileError
from lab7.services.ftp.files.listing import Kind, Style, facts_line, long_line
from lab7.services.ftp.files.paths import format_path
from lab7.services.ftp.files.user_files import Entry, UserFiles
from lab7.services.ftp.grammar import DataType
from lab7.services.ftp.limits import STATUS_LINES
from lab7.services.ftp.replies import one_line
from lab7.services.ftp.server_dtp.page_cache import is_in_memory
from lab7.services.ftp.server_dtp.transfer import AsciiPieces, FileSender, PieceSender, Receiver, Transfer, line_pieces
from lab7.services.ftp.server_pi.actions import (
    ChangeName,
    Describe,
    Done,
    Lines,
    Opened,
    Opening,
    OpenListing,
    OpenRead,
    OpenWrite,
    Request,
    Result,
    Size,
    Stat,
    StatResult,
    StoreMode,
    TransferSize,
)
from lab7.services.ftp.server_pi.failures import Cause

_CUT = "Listing truncated: the directory has too many entries."


def open_transfer(files: UserFiles, request: Opening, now: float) -> tuple[Transfer, Opened]:
    """Open the file or listing that an I/O request of the session names; return (sender or receiver, Opened).

    The sender or receiver is for the data connection; Opened is the result for the session: size in octets, and the
    name that STOU has chosen.
    """
    if isinstance(request, OpenRead):
        return open_read(files, request)
    if isinstance(request, OpenWrite):
        return open_write(files, request)
    return open_listing(files, request, now)


def execute_request(files: UserFiles, request: Request, now: float) -> Result:
    """Carry out an I/O request of the session that needs no data connection, and return the request's result.

    Raises RuntimeError for requests that need a data connection.
    """
    if isinstance(request, Stat):
        return StatResult(files.stat(request.path, request.directory))
    if isinstance(request, TransferSize):
        return Size(files.transfer_size(request.path, request.data_type))
    if isinstance(request, Describe):
        return describe(files, request, now)
    if isinstance(request, ChangeName):
        files.change(request)
        return Done()
    raise RuntimeError(f"unsupported request: {request}")


def open_read(files: UserFiles, request: OpenRead) -> tuple[FileSender | PieceSender, Opened]:
    """Open a file for RETR; return (sender for the data connection, Opened with the file's size, None if unknown)."""
    descriptor, status = files.open_read(request.path)
    size = status.st_size
    if request.data_type is DataType.ASCII:
        # The size in TYPE A, which limits REST, is not known before all of the file is encoded.
        return PieceSender(AsciiPieces(descriptor, request.offset)), Opened()
    if request.offset > size:
        os.close(descriptor)
        raise FileError(Cause.BAD_RESTART, f"Invalid restart offset: the file has {size} octets.")
    return FileSender(descriptor, request.offset, size, is_in_memory(status.st_dev)), Opened(size - request.offset)


def open_write(files: UserFiles, request: OpenWrite) -> tuple[Receiver, Opened]:
    """Open a file for STOR, APPE or STOU; return (receiver for the data connection, Opened with STOU's new name)."""
    upload, path = files.open_write(request)
    name = format_path(path) if request.storing is StoreMode.UNIQUE else ""
    return Receiver(upload, request.data_type is DataType.ASCII), Opened(name=name)


def open_listing(files: UserFiles, request: OpenListing, now: float) -> tuple[PieceSender, Opened]:
    """Prepare a listing for LIST, NLST or MLSD; return (sender for the data connection, Opened: a result object)."""
    entries, is_directory, is_cut = files.entries(request.path, request.pattern)
    prefix = request.prefix if is_directory else request.prefix.removesuffix("/").rpartition("/")[0]
    if not is_directory and prefix:
        prefix += "/"
    lines = (_line(files, entry, request.style, prefix, request.facts, now) for entry in entries)
    return PieceSender(line_pieces(lines), _CUT if is_cut else ""), Opened()


def describe(files: UserFiles, request: Describe, now: float) -> Lines:
    """Return the lines of a listing to be sent in a reply on the control connection (STAT with a path, MLST)."""
    if request.style is Style.FACTS:
        status = files.stat(request.path)
        line = facts_line(format_path(request.path), status, files.writable, request.facts, is_home=not request.path)
        return Lines((line,), status.kind is Kind.DIRECTORY)
    entries, is_directory, _ = files.entries(request.path, request.pattern)
    lines = tuple(long_line(name, status, now) for name, status in entries[:STATUS_LINES])
    return Lines(lines, is_directory)


def _line(files: UserFiles, entry: Entry, style: Style, prefix: str, facts: tuple[str, ...], now: float) -> str:
    name, status = entry
    if style is Style.NAMES:
        return prefix + one_line(name)
    if style is Style.FACTS:
        return facts_line(name, status, files.writable, facts)
    return long_line(name, status, now)
