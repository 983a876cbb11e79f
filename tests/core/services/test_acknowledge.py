"""Acknowledgement of half a command at once, in every server of a line protocol, with a fake transport and socket."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from lab7.services.connections import Slot, Stage
from lab7.services.eventlog import EventLog
from lab7.services.ftp.accounts import Accounts as FtpAccounts
from lab7.services.ftp.limits import Limits as FtpLimits
from lab7.services.ftp.server_dtp.data_connection import DataSettings
from lab7.services.ftp.server_pi.connection import ControlConnection
from lab7.services.ftp.server_pi.context import ServerContext as FtpContext
from lab7.services.mail.access.requests import Session
from lab7.services.mail.access.server import Connection, Limits, OpenMailboxes, ServerContext
from lab7.services.mail.accounts import Accounts
from lab7.services.mail.imap.session import Session as ImapSession
from lab7.services.mail.imap.session_state import Capabilities as ImapCapabilities
from lab7.services.mail.pop3.session import Session as Pop3Session
from lab7.services.mail.pop3.session_state import Capabilities as Pop3Capabilities
from lab7.services.mail.smtp.commands import Accept
from lab7.services.mail.smtp.policy import Client, Policy
from lab7.services.mail.smtp.server import Limits as SmtpLimits
from lab7.services.mail.smtp.server import Port, ServerConnection
from lab7.services.mail.smtp.server import ServerContext as SmtpContext
from lab7.services.mail.smtp.server_session import Offer
from lab7.services.mail.smtp.syntax import Reply

pytestmark = pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="needs TCP_QUICKACK (Linux)")


class RecordingSocket:
    """A socket that counts how often TCP_QUICKACK was set."""

    def __init__(self) -> None:
        self.acknowledged = 0

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """Count the option of interest."""
        self.acknowledged += (level, option, value) == (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class Wire(asyncio.Transport):
    """A fake transport on a RecordingSocket."""

    def __init__(self) -> None:
        self.socket = RecordingSocket()
        super().__init__({"socket": self.socket, "peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take octets."""
        self.written += data

    def is_closing(self) -> bool:
        """Return False: the server never closes here."""
        return False

    def close(self) -> None:
        """Do nothing."""

    def abort(self) -> None:
        """Do nothing."""

    def can_write_eof(self) -> bool:
        """Return True: the transport can half-close."""
        return True

    def pause_reading(self) -> None:
        """Do nothing: the test sends the input."""

    def resume_reading(self) -> None:
        """Do nothing."""


class FakeSlot:
    """A slot that belongs to no ConnectionSet."""

    on_evict: Callable[[], object] | None = None
    stage = Stage.OPENING

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a task."""
        return asyncio.get_running_loop().create_task(coroutine)

    def attach(self, _: object) -> None:
        """Do nothing."""

    def complete(self, _: Stage) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing."""


SLOT = cast(Slot, FakeSlot())
LOG = EventLog(None, lambda: 0.0)


def mail_accounts(directory: Path) -> Accounts:
    (directory / "accounts").write_text("ann:secret\n")
    return Accounts.load(directory / "accounts", ["example.com"])


def access(session: Session, directory: Path) -> Connection:
    loop = asyncio.get_running_loop()
    mailboxes = OpenMailboxes(directory, lambda: 0.0)
    return Connection(ServerContext(mail_accounts(directory), LOG, loop, mailboxes, Limits()), session, SLOT)


def imap(directory: Path) -> asyncio.Protocol:
    return access(ImapSession(ImapCapabilities()), directory)


def pop3(directory: Path) -> asyncio.Protocol:
    return access(Pop3Session(Pop3Capabilities()), directory)


def smtp(directory: Path) -> asyncio.Protocol:
    async def accept(_: Accept, __: Client) -> Reply:
        return Reply(250, "Queued")

    context = SmtpContext(Policy(mail_accounts(directory)), LOG, asyncio.get_running_loop(), SmtpLimits())
    return ServerConnection(context, Port(Offer("mx.example.com"), accept), SLOT)


def ftp(_: Path) -> asyncio.Protocol:
    loop = asyncio.get_running_loop()
    settings = DataSettings(loop, ThreadPoolExecutor(1), LOG, Random(1))
    context = FtpContext(loop, LOG, lambda: 0.0, FtpAccounts([], None), {}, settings, FtpLimits(), is_ready=True)
    return ControlConnection(context, SLOT)


LOG_IN = b"a LOGIN ann secret\r\n"
APPEND = b"b APPEND INBOX {12}\r\n"
MAIL = (b"EHLO a.example\r\n", b"MAIL FROM:<a@b.example>\r\n", b"RCPT TO:<ann@example.com>\r\n", b"DATA\r\n")


@pytest.mark.parametrize(
    ("server", "before", "first", "second", "reply"),
    [
        (imap, (LOG_IN, APPEND), b"Subject: a\r\n", b"\r\n", b"b OK [APPENDUID"),
        (imap, (), b"a CAPABI", b"LITY\r\n", b"a OK"),
        (pop3, (), b"CA", b"PA\r\n", b"+OK"),
        (smtp, MAIL, b"Subject: a\r\n\r\nb\r\n", b".\r\n", b"250 Queued"),
        (smtp, (), b"EHLO ", b"a.example\r\n", b"250"),
        (ftp, (), b"FEA", b"T\r\n", b"211"),
    ],
)
def test_half_a_command_is_acknowledged_at_once_and_a_whole_one_with_its_reply(
    server: Callable[[Path], asyncio.Protocol],
    before: tuple[bytes, ...],
    first: bytes,
    second: bytes,
    reply: bytes,
    tmp_path: Path,
) -> None:
    async def run() -> None:
        wire, connection = Wire(), server(tmp_path)
        connection.connection_made(wire)

        async def answered(data: bytes) -> None:
            seen = len(wire.written)
            connection.data_received(data)
            async with asyncio.timeout(10):
                while len(wire.written) == seen:
                    await asyncio.sleep(0)

        await asyncio.sleep(0)
        for command in before:
            await answered(command)
        assert wire.socket.acknowledged == 0
        connection.data_received(first)
        for _ in range(10):
            await asyncio.sleep(0)
        assert wire.socket.acknowledged == 1
        seen = len(wire.written)
        await answered(second)
        assert reply in wire.written[seen:]
        assert wire.socket.acknowledged == 1
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    asyncio.run(run())
