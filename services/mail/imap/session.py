"""Sans-IO IMAP session: octets of one connection in, responses and requests for I/O out (RFC 3501).

    session = Session(capabilities)
    send(session.greeting())
    outputs = session.receive(data)          a generator of octets to send, and of I/O requests
    outputs = session.poll()                 updates for IDLE (RFC 2177) and NOTIFY (RFC 5465), while `session.waits`

The caller sends the octets, carries out each request (check a password, start TLS) and passes its result to the
generator by send(). The generator must be exhausted before receive() is called again. `session.waits` is True while the
server may send updates unasked. In state LOGOUT the connection is closed, and further input is ignored.

A literal is checked by its announced size, before the client sends the octets (RFC 3501 section 4.3, RFC 7888): a
client with a synchronising literal waits for "+", so that a refused literal is never sent. The refusal of a literal
that is too large has the response code TOOBIG (RFC 4469 section 4.2).
"""

from collections.abc import Iterator

from lab7.services.errors import LimitExceededError
from lab7.services.mail.access.requests import ContinuationRequest, Outputs, StartCompression, StartTls, Steps
from lab7.services.mail.imap.command import Command
from lab7.services.mail.imap.commands.append import check_literal
from lab7.services.mail.imap.commands.table import COMMANDS, UID_COMMANDS
from lab7.services.mail.imap.errors import BadError, ByeError, NoError, store_failure_text
from lab7.services.mail.imap.limits import (
    BAD_COMMANDS_MAX,
    EARLY_LITERAL_OCTETS,
    LITERAL_OCTETS,
    MESSAGE_OCTETS,
    NUMBER_MAX,
    PIPELINE_OCTETS,
)
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

    @classmethod
    def offering(cls, starttls: bool, needs_tls: bool) -> "Session":
        """Return a session that offers STARTTLS or not; with `needs_tls`, passwords are permitted only in TLS."""
        return cls(Capabilities(starttls, needs_tls))

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
            command = _parse_command(reader, self._state.state)
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
        refusal = _literal_refusal(self._state, unit)
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


def _parse_command(reader: Reader, state: State) -> Command:
    """Parse a command name; return its Command in the command table.

    Raises BadError if the command is unknown or not permitted in the session state `state`.
    """
    word = reader.word("command")
    if word == b"UID":
        reader.expect_space()
        command = UID_COMMANDS.get(reader.word("command"))
    else:
        command = COMMANDS.get(word)
    if command is None:
        raise BadError("Unknown command.")
    if state not in command.states:
        raise BadError(_wrong_state_text(command, state))
    return command


def _wrong_state_text(command: Command, state: State) -> str:
    if state is State.SELECTED and State.AUTHENTICATED in command.states:
        return "A mailbox is selected already."
    if State.NOT_AUTHENTICATED in command.states:
        return "You are logged in already."
    return "No mailbox is selected." if State.AUTHENTICATED not in command.states else "Log in first."


def _literal_refusal(session: SessionState, unit: AnnouncedLiteral) -> bytes | None:
    """Check a literal that the client has announced; return the tagged response that refuses it, or None."""
    reader = Reader(unit.received, utf8=session.is_rev2)
    tag = b"*"
    try:
        tag = reader.match(TAG, "tag")
        reader.expect_space()
        _parse_command(reader, session.state)
        if unit.size_octets > NUMBER_MAX:
            raise BadError("The number is too large.")
        _check_size(session, unit, reader.position, unit.received[len(tag) + 1 : reader.position].upper())
    except BadError as error:
        return b"%b BAD %b\r\n" % (tag, str(error).encode("ascii"))
    except NoError as error:
        return b"%b NO [%b] %b\r\n" % (tag, error.code.encode("ascii"), error.text.encode("ascii"))
    except (MaildirError, OSError) as error:
        return b"%b NO %b\r\n" % (tag, store_failure_text(error).encode("ascii", "replace"))
    return None


def _check_size(session: SessionState, unit: AnnouncedLiteral, position: int, command: bytes) -> None:
    """Raise NoError if a command with its literals, or a message to APPEND or REPLACE, is too large."""
    is_append, replaces = command == b"APPEND", command in (b"REPLACE", b"UID REPLACE")
    limit = EARLY_LITERAL_OCTETS if session.state is State.NOT_AUTHENTICATED else LITERAL_OCTETS
    if is_append or replaces:
        limit += MESSAGE_OCTETS
    if unit.size_octets + len(unit.received) > limit:
        raise NoError("The literal is too large.", "TOOBIG")
    if is_append or replaces:
        check_literal(session, unit.received, position, unit.size_octets, replaces)
