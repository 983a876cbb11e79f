"""Sans-IO IMAP session: octets of one connection in, responses and requests for I/O out (RFC 3501).

    session = Session(capabilities)
    send(session.greeting())
    outputs = session.receive(data)          a generator of octets to send, and of I/O requests
    outputs = session.poll()                 updates for IDLE (RFC 2177) and NOTIFY (RFC 5465), while `session.waits`

The caller sends the octets, carries out each request (check a password, start TLS) and passes its result to the
generator by send(). The generator must be exhausted before receive() is called again. `session.waits` is True while the
server may send updates unasked. In state LOGOUT the connection is closed, and further input is ignored.
"""

from collections.abc import Iterator

from lab7.services.errors import LimitExceededError
from lab7.services.mail.access.requests import ContinuationRequest, Outputs, StartCompression, StartTls, Steps
from lab7.services.mail.imap.command import Command
from lab7.services.mail.imap.commands.table import parse_command
from lab7.services.mail.imap.errors import BadError, ByeError, NoError, store_failure_text
from lab7.services.mail.imap.limits import BAD_COMMANDS_MAX, MESSAGE_OCTETS, PIPELINE_OCTETS
from lab7.services.mail.imap.literals import literal_refusal
from lab7.services.mail.imap.session_state import Capabilities, SessionState, State
from lab7.services.mail.imap.syntax.reader import TAG, AnnouncedLiteral, Framer, Line, OverlongLine, Reader
from lab7.services.mail.maildir.errors import MaildirError

_CONTINUE = b"+ OK\r\n"
# RFC 3501 section 7.1: a response that belongs to no command has the tag "*".
_UNTAGGED = b"*"


class Session:
    """Session of one IMAP client: buffers input, runs command handlers, and yields responses and I/O requests."""

    def __init__(self, capabilities: Capabilities) -> None:
        self._state = SessionState(capabilities)
        self._framer = Framer(PIPELINE_OCTETS)
        self._running: tuple[bytes, Command, Steps] | None = None
        self._bad_commands = 0

    @property
    def state(self) -> State:
        """The session state (RFC 3501 section 3)."""
        return self._state.state

    def greeting(self) -> bytes:
        """Return the octets of the OK greeting (RFC 3501 section 7.1.1)."""
        return b"* OK [%b] lab7 ready.\r\n" % self._state.capability()

    def receive(self, data: bytes) -> Outputs:
        """Parse received octets; yield responses, and requests for I/O that the caller answers."""
        try:
            # Feed the framer in pieces, because its limit applies to octets left over, not to the size of one read.
            for begin in range(0, len(data), PIPELINE_OCTETS):
                if self.state is State.LOGOUT:
                    return
                self._framer.feed(data[begin : begin + PIPELINE_OCTETS])
                yield from self._process()
        except LimitExceededError:
            yield from self._bye("Too much pipelined input.")
        except ByeError as error:
            yield from self._bye(str(error))

    def _process(self) -> Outputs:
        while self.state is not State.LOGOUT:
            unit = self._framer.next(with_literals=self._running is None)
            if unit is None:
                return
            if isinstance(unit, AnnouncedLiteral):
                yield from self._handle_literal(unit)
            elif isinstance(unit, OverlongLine):
                yield from self._handle_overlong_line(unit)
            elif self._running is not None:
                running, self._running = self._running, None
                yield from self._run(*running, unit.octets)
            else:
                yield from self._command(unit)
            # Lines without a response, such as empty ones, would keep other sessions waiting.
            yield b""

    def _command(self, line: Line) -> Outputs:
        if not line.octets:
            # Ignore an empty line, which users of telnet may type.
            return
        reader = Reader(line.octets, utf8=self._state.is_rev2)
        tag = _UNTAGGED
        try:
            self._state.tag = tag = reader.match(TAG, "tag")
            reader.expect_space()
            command = parse_command(reader, self._state.state)
        except BadError as error:
            yield from self._reject(tag, error)
            return
        yield from self._run(tag, command, self._start(command, reader), None)

    def _start(self, command: Command, reader: Reader) -> Steps:
        if self._state.view is not None:
            yield from self._state.view.refresh()
        return (yield from command.handler(self._state, reader))

    def _run(self, tag: bytes, command: Command, steps: Steps, answer: object) -> Outputs:
        """Run a command's handler until it ends or needs a continuation line; at its end, send the tagged response."""
        try:
            while True:
                output = steps.send(answer)
                answer = None
                if isinstance(output, ContinuationRequest):
                    self._running = (tag, command, steps)
                    yield output.prompt
                    return
                answer = yield output
        except StopIteration as done:
            yield from self._complete(tag, command, b"OK", done.value)
        except BadError as error:
            yield from self._reject(tag, error)
        except NoError as error:
            code = f"[{error.code}] " if error.code else ""
            yield from self._complete(tag, command, b"NO", code + error.text)
        except (MaildirError, OSError) as error:
            yield from self._complete(tag, command, b"NO", store_failure_text(error))

    def _complete(self, tag: bytes, command: Command, word: bytes, text: str) -> Outputs:
        self._bad_commands = 0
        if self._state.view is not None and self.state is State.SELECTED:
            yield from self._state.view.updates(command.may_expunge)
        yield b"%b %b %b\r\n" % (tag, word, text.encode("ascii", "replace"))
        if self._state.tls_requested:
            yield from self._start_tls()
        if self._state.compression_requested:
            self._state.compression_requested = False
            # RFC 4978 section 3: a client must await the response to COMPRESS; octets received before it are discarded.
            self._framer.clear()
            yield StartCompression()

    def _start_tls(self) -> Outputs:
        """Yield the request for TLS; discard octets received before TLS was active (RFC 3501 section 6.2.1)."""
        self._state.tls_requested = False
        self._framer.clear()
        yield StartTls()
        self._state.capabilities = Capabilities()

    def _reject(self, tag: bytes, error: BadError) -> Outputs:
        yield b"%b BAD %b\r\n" % (tag, str(error).encode("ascii", "replace"))
        self._bad_commands += 1
        if self._bad_commands >= BAD_COMMANDS_MAX:
            raise ByeError("Too many invalid commands.")

    def _handle_literal(self, unit: AnnouncedLiteral) -> Outputs:
        refusal = literal_refusal(self._state, unit)
        if refusal is None:
            self._framer.accept()
            if unit.is_synchronizing:
                yield _CONTINUE
            return
        yield refusal
        if not self._framer.refuse():
            raise ByeError(f"A literal is longer than {MESSAGE_OCTETS} octets.")

    def _handle_overlong_line(self, unit: OverlongLine) -> Outputs:
        self._running = None
        self._state.idling = False
        match = TAG.match(unit.received)
        tag = match[0] if match is not None and unit.received[match.end() :].startswith(b" ") else _UNTAGGED
        yield from self._reject(tag, BadError("The line is too long."))

    def _bye(self, text: str) -> Iterator[bytes]:
        self._state.log_out()
        yield b"* BYE %b\r\n" % text.encode("ascii", "replace")

    def poll(self) -> Iterator[bytes]:
        """Yield the notifications of NOTIFY (RFC 5465), and updates of the selected mailbox during IDLE (RFC 2177)."""
        state = self._state
        try:
            if state.poll_notifications is not None:
                yield from state.poll_notifications(state)
            if state.idling and state.view is not None:
                yield from state.view.updates(may_expunge=True)
        except ByeError as error:
            yield from self._bye(str(error))
        except OSError:
            # Ignore I/O errors during IDLE, because the next command reports such errors.
            return

    @property
    def ended(self) -> bool:
        """True when the connection must be closed."""
        return self.state is State.LOGOUT

    @property
    def waits(self) -> bool:
        """True while the server may send untagged responses unasked (IDLE, NOTIFY); poll() then yields them."""
        state = self._state
        return state.poll_notifications is not None or (state.idling and state.view is not None)

    @property
    def logged_in(self) -> bool:
        """True once the client has logged in."""
        return self._state.logged_in

    def release(self) -> None:
        """Release the mailbox after the connection is closed."""
        self._state.select(None)
        self._running = None

    def end(self, text: str) -> bytes:
        """End the session on time-out or shutdown; return the BYE response with `text`."""
        return b"".join(self._bye(text)) if self.state is not State.LOGOUT else b""
