"""lab7's FTP server with one fault: FAULT [FLAG ...], with the flags of lab7.services.ftp.server.

wrong-octets       files of more than 1000 octets come with one octet changed
truncates          of such files the first half comes, and 226
empty-list         a listing has nothing in it, whatever the folder has
drops-uploads      uploads of less than 10,000 octets are answered by 226 and kept nowhere
ignores-cwd        CWD is answered by 250 and changes nothing
any-password       whatever the password is, the user is logged in
other-source-port  active mode comes from port 2020
other-pasv-port    PASV names the port behind the one that is listened on
always-125         a transfer begins with 125, whether the data connection is open or not
never-full         what finds no room on the disk is answered by 226 all the same
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from lab7.services.ftp import accounts
from lab7.services.ftp.files.jailed_tree import FileError
from lab7.services.ftp.files.paths import partial_name
from lab7.services.ftp.server import main
from lab7.services.ftp.server_dtp import data_connection, transfer, upload
from lab7.services.ftp.server_pi import commands, transfer_commands

LARGE_OCTETS, CHANGED_AT = 1000, 999
SMALL_UPLOAD_OCTETS = 10_000
PIECE_OCTETS = 16 * 1024


def _send_files(altered: Callable[[bytes, int, int], bytes]) -> None:
    """Send files piece by piece; `altered` gives what goes in place of a piece, its place and the file's size."""

    def step(self: Any, connection: socket.socket, *_: bool) -> bool:
        place = self._offset + self.octets
        octets = altered(os.pread(self._file, PIECE_OCTETS, place), place, self._last + 1)
        if octets:
            try:
                self.octets += connection.send(octets)
            except BlockingIOError:
                return False
        return not octets

    patch(transfer.FileSender, "turn", lambda *_: transfer.Turn.DISK)
    patch(transfer.FileSender, "step", step)


def _wrong_octets() -> None:
    def altered(piece: bytes, place: int, size: int) -> bytes:
        at = CHANGED_AT - place
        if size <= LARGE_OCTETS or not 0 <= at < len(piece):
            return piece
        return piece[:at] + bytes((piece[at] ^ 1,)) + piece[at + 1 :]

    _send_files(altered)


def _truncates() -> None:
    _send_files(lambda piece, place, size: piece if size <= LARGE_OCTETS else piece[: max(0, size // 2 - place)])


def _empty_list() -> None:
    patch(transfer.PieceSender, "step", lambda *_: True)


def _drops_uploads() -> None:
    put_in_place = upload.Upload._replace

    def dropped(self: Any) -> None:
        if os.fstat(self._file).st_size < SMALL_UPLOAD_OCTETS:
            os.unlink(partial_name(self.name), dir_fd=self._directory)
        else:
            put_in_place(self)

    patch(upload.Upload, "_replace", dropped)


def _ignores_cwd() -> None:
    commands.VERBS[b"CWD"] = replace(commands.VERBS[b"CWD"], handle=lambda one, _: one.reply(250, "Of course."))


def _any_password() -> None:
    patch(accounts, "check_password", lambda *_: True)


def _other_source_port() -> None:
    sys.argv += ["--data-port", "2020"]


def _other_pasv_port() -> None:
    listen = data_connection.DataConnection.listen

    def other(self: Any) -> tuple[str, int] | None:
        made = listen(self)
        return None if made is None else (made[0], made[1] + 1)

    patch(data_connection.DataConnection, "listen", other)


def _always_125() -> None:
    begin = transfer_commands._begin

    def opened(one: Any, result: Any) -> None:
        one.data_is_open = True
        begin(one, result)

    patch(transfer_commands, "_begin", opened)


def _never_full() -> None:
    write = upload.Upload.write

    def forgiving(self: Any, octets: memoryview) -> None:
        with suppress(FileError):
            write(self, octets)

    patch(upload.Upload, "write", forgiving)


FAULTS = {
    "none": lambda: None,
    "wrong-octets": _wrong_octets,
    "truncates": _truncates,
    "empty-list": _empty_list,
    "drops-uploads": _drops_uploads,
    "ignores-cwd": _ignores_cwd,
    "any-password": _any_password,
    "other-source-port": _other_source_port,
    "other-pasv-port": _other_pasv_port,
    "always-125": _always_125,
    "never-full": _never_full,
}


def patch(owner: Any, name: str, value: Any) -> None:
    """Put something else in the place of a part of lab7's."""
    setattr(owner, name, value)


if __name__ == "__main__":
    fault = sys.argv.pop(1)
    FAULTS[fault]()
    sys.exit(main(sys.argv[1:]))
