"""File actions of server-DTP: open the files of a transfer, and carry out requests that need no data connection.

All of it blocks on the file system, runs in a worker thread and raises FileError.
"""

import os

from services.ftp.files.jailed_tree import FileError
from services.ftp.files.listing import Kind, Style, facts_line, long_line
from services.ftp.files.paths import shown
from services.ftp.files.user_files import Entry, Home
from services.ftp.grammar import DataType
from services.ftp.limits import STATUS_LINES
from services.ftp.replies import printable
from services.ftp.server_dtp.page_cache import is_in_memory
from services.ftp.server_dtp.transfer import FileSender, Mover, PieceSender, Receiver, ascii_pieces, line_pieces
from services.ftp.server_pi.actions import (
    Ask,
    ChangeName,
    Describe,
    Done,
    Found,
    Lines,
    Look,
    Opened,
    Opening,
    OpenListing,
    OpenRead,
    OpenWrite,
    Result,
    Size,
    Storing,
    TransferSize,
)
from services.ftp.server_pi.failures import Cause

_CUT = "The listing is cut: the directory has more entries than one listing shows."


def open_transfer(home: Home, ask: Opening, now: float) -> tuple[Mover, Opened]:
    """Open a file or listing for a transfer."""
    if isinstance(ask, OpenRead):
        return open_read(home, ask)
    if isinstance(ask, OpenWrite):
        return open_write(home, ask)
    return open_listing(home, ask, now)


def carry_out(home: Home, ask: Ask, now: float) -> Result:
    """Carry out a request that needs no data connection; raises RuntimeError for any other."""
    if isinstance(ask, Look):
        return Found(home.look(ask.path, ask.directory))
    if isinstance(ask, TransferSize):
        return Size(home.transfer_size(ask.path, ask.data_type))
    if isinstance(ask, Describe):
        return describe(home, ask, now)
    if isinstance(ask, ChangeName):
        home.change(ask)
        return Done()
    raise RuntimeError(f"unsupported request: {ask}")


def open_read(home: Home, asked: OpenRead) -> tuple[FileSender | PieceSender, Opened]:
    """Open a file for RETR."""
    descriptor, found = home.open_read(asked.path)
    size = found.st_size
    if asked.data_type is DataType.ASCII:
        # The size in TYPE A, which limits REST, is not known before all of the file is encoded.
        return PieceSender(ascii_pieces(descriptor, asked.offset)), Opened()
    if asked.offset > size:
        os.close(descriptor)
        raise FileError(Cause.BAD_RESTART, f"The file has {size} octets.")
    return FileSender(descriptor, asked.offset, size, is_in_memory(found.st_dev)), Opened(size - asked.offset)


def open_write(home: Home, asked: OpenWrite) -> tuple[Receiver, Opened]:
    """Open a file for STOR, APPE and STOU."""
    upload, path = home.open_write(asked)
    name = shown(path) if asked.storing is Storing.UNIQUE else ""
    return Receiver(upload, asked.data_type is DataType.ASCII), Opened(name=name)


def open_listing(home: Home, asked: OpenListing, now: float) -> tuple[PieceSender, Opened]:
    """Prepare a listing for LIST, NLST or MLSD."""
    entries, is_directory, is_cut = home.entries(asked.path, asked.pattern)
    prefix = asked.prefix if is_directory else asked.prefix.removesuffix("/").rpartition("/")[0]
    if not is_directory and prefix:
        prefix += "/"
    lines = (_line(home, entry, asked.style, prefix, asked.facts, now) for entry in entries)
    return PieceSender(line_pieces(lines), _CUT if is_cut else ""), Opened()


def describe(home: Home, asked: Describe, now: float) -> Lines:
    """Return the lines of STAT and MLST, a listing on the control connection."""
    if asked.style is Style.FACTS:
        status = home.look(asked.path)
        line = facts_line(shown(asked.path), status, home.writable, asked.facts, is_home=not asked.path)
        return Lines((line,), status.kind is Kind.DIRECTORY)
    entries, is_directory, _ = home.entries(asked.path, asked.pattern)
    lines = tuple(long_line(name, status, now) for name, status in entries[:STATUS_LINES])
    return Lines(lines, is_directory)


def _line(home: Home, entry: Entry, style: Style, prefix: str, facts: tuple[str, ...], now: float) -> str:
    name, status = entry
    if style is Style.NAMES:
        return prefix + printable(name)
    if style is Style.FACTS:
        return facts_line(name, status, home.writable, facts)
    return long_line(name, status, now)
