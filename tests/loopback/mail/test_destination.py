"""Backlog of a destination while a connection to its server has stalled; faults of the program during delivery.

The server is a script of raw lines, since real servers cannot be told to stall.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from lab7.services.eventlog import EventLog
from lab7.services.mail.accounts import Account
from lab7.services.mail.address import Mailbox
from lab7.services.mail.delivery.local import Mailboxes
from lab7.services.mail.delivery.remote import Destination, Job, Remote
from lab7.services.mail.delivery.routes import Host
from lab7.services.mail.queue.entry import Entry, Recipient, Schedule
from lab7.services.mail.queue.journal import Journal
from lab7.services.mail.queue.spool import Spool
from lab7.services.mail.smtp.client import Connection, Timeouts
from lab7.services.mail.smtp.client_session import Outcome, SessionOptions
from lab7.services.mail.smtp.syntax import Reply

PATIENCE_S = 20.0
STALLED_S = 0.1
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def entry(number: int) -> Entry:
    content = b"Subject: %d\r\n\r\n" % number
    return Entry(str(number), 0.0, None, [Recipient(Mailbox("bob", "example.com"))], len(content), content=content)


class Server:
    """Accepts mail, but in its first connection never replies after DATA."""

    def __init__(self) -> None:
        self.connections = 0
        self.taken: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        is_silent = self.connections == 1
        writer.write(b"220 ready\r\n")
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                line = await reader.readuntil(b"\r\n")
                if line == b"DATA\r\n" and is_silent:
                    await reader.read()
                    break
                if line == b"DATA\r\n":
                    writer.write(b"354 go on\r\n")
                    self.taken.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"221 bye\r\n" if line == b"QUIT\r\n" else b"250 ok\r\n")
                if line == b"QUIT\r\n":
                    break
        writer.close()


async def delivered(folder: Path, serve: Serve, count: int, wanted: int) -> list[str]:
    """Queue `count` entries; returns the first `wanted` that became final."""
    loop = asyncio.get_running_loop()
    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    log = EventLog(None, loop.time)
    settled: asyncio.Queue[str] = asyncio.Queue()

    async def route(_: str) -> list[Host]:
        return [Host("mail.example.com", "127.0.0.1")]

    def report(one: Entry, replies: dict[int, Reply]) -> None:
        if all(reply.is_positive for reply in replies.values()):
            settled.put_nowait(one.id)

    def on_wait(*_: Any) -> bool:
        return True

    destination = Destination(
        Remote(
            loop,
            log,
            Spool(loop, Journal(folder), log),
            route,
            report,
            on_wait,
            Schedule((0.01,)),
            SessionOptions("client.example.org"),
            listening.sockets[0].getsockname()[1],
            Timeouts(),
            stalled_s=STALLED_S,
        ),
        "example.com",
    )
    for number in range(count):
        destination.add(Job(entry(number), [0]))
    async with asyncio.timeout(PATIENCE_S):
        names = [await settled.get() for _ in range(wanted)]
    await destination.close()
    listening.close()
    return names


def test_a_connection_that_stands_still_is_passed_by(tmp_path: Path) -> None:
    server = Server()
    assert sorted(asyncio.run(delivered(tmp_path, server.serve, 3, 2))) == ["1", "2"]
    assert server.connections == 2


class FaultyMailboxes(Mailboxes):
    """Mailboxes with a fault of the program in the first delivery."""

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self.is_junk = self._fail_once

    def _fail_once(self, _: bytes) -> bool:
        self.is_junk = lambda _: False
        raise ValueError("a fault")


def test_a_fault_in_a_local_delivery_is_a_temporary_failure(tmp_path: Path) -> None:
    faults: list[Any] = []

    async def replies() -> list[Reply]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
        log = EventLog(None, loop.time)
        settled: asyncio.Queue[Reply] = asyncio.Queue()
        spool = Spool(loop, Journal(tmp_path / "queue"), log)
        mailboxes = FaultyMailboxes(loop, tmp_path / "mail", spool, lambda _, found: settled.put_nowait(found[0]))
        found = []
        async with asyncio.timeout(PATIENCE_S):
            for number in range(2):
                mailboxes.add(Account("bob", "example.com"), entry(number), 0)
                found.append(await settled.get())
        await mailboxes.close()
        return found

    assert [reply.code for reply in asyncio.run(replies())] == [451, 250]
    assert [str(fault) for fault in faults] == ["a fault"]


def test_a_fault_in_a_remote_delivery_leaves_the_message_waiting(tmp_path: Path, monkeypatch: Any) -> None:
    server = Server()
    server.connections = 1
    deliver = Connection.deliver

    async def fail_once(*_: object) -> Outcome:
        monkeypatch.setattr(Connection, "deliver", deliver)
        raise ValueError("a fault")

    monkeypatch.setattr(Connection, "deliver", fail_once)
    assert asyncio.run(delivered(tmp_path, server.serve, 1, 1)) == ["0"]
