"""SMTP client on asyncio: sends messages over one connection, with time-outs (RFC 5321 sections 3 and 4.5.3.2).

    sent = await send(("192.0.2.1", 25), [envelope, another], SessionOptions("client.example.org"))
    sent.outcomes          for each message, the reply for each recipient
    sent.failure           the reply that ended the session early, or None
    sent.transcript        every write and read, with its time

An envelope here includes the message content. The protocol itself is in client_session.py. Used by webmail and by the
MTA's remote delivery.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lab7.services.mail.smtp.client_session import ClientSession, Envelope, Outcome, SessionOptions, Step
from lab7.services.mail.smtp.syntax import Reply
from lab7.services.memory import release_frames

READ_OCTETS = 65_536
WRITE_OCTETS = 65_536

_NOT_CONNECTED = "4.4.1"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time-outs of an SMTP client in seconds (RFC 5321 section 4.5.3.2).

    `connect_s` limits the TCP connection attempt, as Postfix's smtp_connect_timeout does.
    """

    connect_s: float = 30.0
    greeting_s: float = 300.0
    command_s: float = 300.0
    data_s: float = 120.0
    block_s: float = 180.0
    end_s: float = 600.0
    # RFC 5321 section 4.1.1.10: seconds for which the client waits for the server to close after its reply 221.
    farewell_s: float = 2.0

    def for_step(self, step: Step) -> float:
        """Return the time-out in seconds for the reply that a session in state `step` is waiting for."""
        known = {Step.GREETING: self.greeting_s, Step.CONTENT: self.end_s, Step.GROUP: max(self.command_s, self.data_s)}
        return known.get(step, self.command_s)


@dataclass(frozen=True, slots=True)
class TranscriptEntry:
    """A write (`C`) to or read (`S`) from a connection: its octets, and `time_s` on the event loop's clock."""

    time_s: float
    side: str
    octets: bytes


@dataclass
class SendResult:
    """Result of sending messages over one connection: their outcomes, and the connection's failure, if any.

    A message that was not begun, because the connection had ended, has no outcome.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    failure: Reply | None = None
    transcript: list[TranscriptEntry] = field(default_factory=list)


class ConnectionFailedError(Exception):
    """Error for an SMTP connection or session that cannot be established; `reply` is the reason as an SMTP reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class Connection:
    """An SMTP connection that sends messages sequentially."""

    def __init__(self, session: ClientSession, timeouts: Timeouts, transcript: list[TranscriptEntry] | None) -> None:
        self.session = session
        self._timeouts = timeouts
        self._transcript = transcript
        self._loop = asyncio.get_running_loop()

    async def open(
        self,
        server: tuple[str, int],
        tls: ssl.SSLContext | None = None,
        source: str | None = None,
        server_name: str | None = None,
    ) -> None:
        """Connect, and start a session with EHLO, STARTTLS and AUTH as configured; raises ConnectionFailedError."""
        self._tls, self._server_name = tls, server_name or server[0]
        local = None if source is None else (source, 0)
        try:
            async with asyncio.timeout(self._timeouts.connect_s):
                self._reader, self._writer = await asyncio.open_connection(*server, local_addr=local)
        except TimeoutError:
            raise ConnectionFailedError(
                Reply(451, f"Timeout while connecting to {server[0]}", _NOT_CONNECTED)
            ) from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConnectionFailedError(
                Reply(451, f"Cannot connect to {server[0]}: {reason}", _NOT_CONNECTED)
            ) from None
        raw = self._writer.get_extra_info("socket")
        if raw is not None:
            # Disable Nagle's algorithm, so that small commands are sent without waiting for acknowledgements.
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self._until(Step.READY)
        if self.session.step is not Step.READY:
            self.abort()
            raise ConnectionFailedError(self.session.failure or Reply(451, "The server closed the connection", "4.4.2"))

    async def deliver(self, envelope: Envelope) -> Outcome:
        """Send a message; return its Outcome. If the session's `step` is then READY, another message can follow."""
        await self._send(self.session.send(envelope))
        await self._until(Step.READY)
        outcome = self.session.outcome
        if outcome is None:
            raise RuntimeError("a transaction ended without an outcome")
        return outcome

    async def close(self) -> None:
        """Send QUIT if the session is in state READY; wait until the server closes (RFC 5321 section 4.1.1.10)."""
        if self.session.step is Step.READY:
            await self._send(self.session.quit())
            await self._until(Step.OVER)
            await self._read_end()
        self._writer.close()

    def abort(self) -> None:
        """Close the connection at once, without QUIT."""
        self._writer.transport.abort()

    async def _until(self, wanted: Step) -> None:
        session = self.session
        while session.step is not wanted and session.step is not Step.OVER:
            if session.step is Step.TLS:
                await self._start_tls()
                continue
            try:
                async with asyncio.timeout(self._timeouts.for_step(session.step)):
                    octets = await self._reader.read(READ_OCTETS)
            except TimeoutError:
                session.lost("timeout while waiting for the server")
            except OSError as error:
                session.lost(error.strerror or str(error))
            else:
                self._note("S", octets)
                if not octets:
                    session.lost("closed by the server")
                await self._send(session.receive(octets))

    async def _send(self, octets: bytes) -> None:
        if not octets:
            return
        self._note("C", octets)
        try:
            for begin in range(0, len(octets), WRITE_OCTETS):
                self._writer.write(octets[begin : begin + WRITE_OCTETS])
                if len(octets) > WRITE_OCTETS:
                    async with asyncio.timeout(self._timeouts.block_s):
                        await self._writer.drain()
        except TimeoutError:
            self.session.lost("timeout while sending to the server")
        except OSError:
            # Ignore a write error: replies sent before the server closed can still be read, up to the end of file.
            return

    async def _start_tls(self) -> None:
        if self._tls is None:
            self.session.lost("no TLS context is configured")
            return
        try:
            async with asyncio.timeout(self._timeouts.command_s):
                await self._writer.start_tls(self._tls, server_hostname=self._server_name)
        except (OSError, TimeoutError) as error:
            self.session.lost(f"TLS handshake failed: {error}")
            release_frames(error)
            return
        await self._send(self.session.tls_started())

    async def _read_end(self) -> None:
        try:
            async with asyncio.timeout(self._timeouts.farewell_s):
                while octets := await self._reader.read(READ_OCTETS):
                    self._note("S", octets)
        except (OSError, TimeoutError):
            return

    def _note(self, side: str, octets: bytes) -> None:
        if self._transcript is not None and octets:
            self._transcript.append(TranscriptEntry(self._loop.time(), side, octets))


async def send(
    server: tuple[str, int],
    envelopes: Iterable[Envelope],
    options: SessionOptions,
    timeouts: Timeouts | None = None,
    tls: ssl.SSLContext | None = None,
    on_outcome: Callable[[Envelope, Outcome], None] | None = None,
) -> SendResult:
    """Send messages in order over one connection to `server` (address, port); return a SendResult.

    The connection is closed at the end. `on_outcome` is called after each message with its envelope and Outcome.
    Messages not begun because the connection had ended have no Outcome.
    """
    result = SendResult()
    connection = Connection(ClientSession(options), timeouts or Timeouts(), result.transcript)
    try:
        await connection.open(server, tls)
    except ConnectionFailedError as error:
        result.failure = error.reply
        return result
    for envelope in envelopes:
        outcome = await connection.deliver(envelope)
        result.outcomes.append(outcome)
        if on_outcome is not None:
            on_outcome(envelope, outcome)
        if connection.session.step is not Step.READY:
            break
    await connection.close()
    result.failure = connection.session.failure
    return result


def text_of(transcript: Sequence[TranscriptEntry], begun_s: float) -> str:
    """Format a transcript as text: a line such as `0.100 C: MAIL FROM:<...>` for each SMTP line."""
    lines = []
    for entry in transcript:
        for line in entry.octets.decode("utf-8", "replace").split("\r\n")[:-1]:
            lines.append(f"{entry.time_s - begun_s:.3f} {entry.side}: {line}")
    return "\n".join(lines)
