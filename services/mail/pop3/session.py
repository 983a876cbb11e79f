"""Sans-IO POP3 session: octets of one connection in, responses and requests for I/O out (RFC 1939).

    session = Session(Capabilities(timestamp=b"<1896.697170952@dbc.mtview.ca.us>"))     # for APOP
    send(session.greeting())
    outputs = session.receive(data)         a generator of octets to send, and of I/O requests

The caller sends the octets, carries out each request (check a password, start TLS) and passes its result to the
generator by send(). The generator must be exhausted before receive() is called again. Input after QUIT is ignored.
"""

from collections.abc import Iterator

from lab7.services.buffer import OctetBuffer
from lab7.services.errors import LimitExceededError
from lab7.services.mail.access.requests import ContinuationRequest, Outputs, StartTls, Steps
from lab7.services.mail.maildir.errors import MaildirError
from lab7.services.mail.pop3.commands import COMMANDS, REST_OF_LINE
from lab7.services.mail.pop3.errors import RefusedError, SyntaxRefusedError
from lab7.services.mail.pop3.limits import BAD_COMMANDS_MAX, LINE_OCTETS, PIPELINE_OCTETS
from lab7.services.mail.pop3.session_state import Capabilities, SessionState, State


class Session:
    """Session of one POP3 client: buffers input, runs command handlers, and yields responses and I/O requests."""

    def __init__(self, capabilities: Capabilities) -> None:
        self._state = SessionState(capabilities)
        self._buffer = OctetBuffer(PIPELINE_OCTETS + LINE_OCTETS)
        self._running: Steps | None = None
        self._bad_commands = 0
        self._discarding = False

    @property
    def state(self) -> State:
        """The session state (RFC 1939 section 3)."""
        return self._state.state

    @property
    def ended(self) -> bool:
        """True when the connection must be closed."""
        return self.state is State.ENDED

    @property
    def waits(self) -> bool:
        """Always False: POP3 has no unsolicited responses."""
        return False

    @property
    def logged_in(self) -> bool:
        """True once the client has logged in."""
        return self.state is not State.AUTHORIZATION

    def greeting(self) -> bytes:
        """Return the greeting with the timestamp of APOP (RFC 1939 section 7)."""
        return b"+OK lab7 ready. %b\r\n" % self._state.capabilities.timestamp

    def poll(self) -> Iterator[bytes]:
        """Yield nothing: POP3 has no unsolicited responses."""
        return iter(())

    def end(self, text: str) -> bytes:
        """End the session without UPDATE: no message is removed (RFC 1939 section 3); return the -ERR response."""
        self._state.end()
        self.release()
        return f"-ERR {text}\r\n".encode("ascii", "replace")

    def release(self) -> None:
        """Release the maildrop's lock."""
        self._state.release()

    def receive(self, data: bytes) -> Outputs:
        """Parse received octets; yield responses, and requests for I/O that the caller answers."""
        for begin in range(0, len(data), PIPELINE_OCTETS):
            if self.ended:
                return
            self._buffer.feed(data[begin : begin + PIPELINE_OCTETS])
            while not self.ended:
                try:
                    line = self._buffer.take_through(b"\n", LINE_OCTETS)
                except LimitExceededError:
                    yield from self._handle_overlong_line()
                    continue
                if line is None:
                    break
                yield from self._handle_line(line)

    def _handle_overlong_line(self) -> Outputs:
        self._buffer.take(LINE_OCTETS)
        if not self._discarding:
            self._discarding = True
            self._running = None
            yield from self._reject(SyntaxRefusedError("The line is too long."))

    def _handle_line(self, line: bytes) -> Outputs:
        if self._discarding:
            self._discarding = False
            return
        text = line[:-2] if line.endswith(b"\r\n") else line[:-1]
        if self._running is not None:
            running, self._running = self._running, None
            yield from self._run(running, text)
        else:
            yield from self._run(self._start(text), None)

    def _start(self, line: bytes) -> Steps:
        word, _, rest = line.partition(b" ")
        name = word.upper()
        command = COMMANDS.get(name)
        if command is None:
            raise SyntaxRefusedError("Unknown command.")
        if self.state not in command.states:
            raise SyntaxRefusedError("The command is not valid in this state.")
        # RFC 1939 section 3: a single space separates arguments.
        arguments = [rest] if name in REST_OF_LINE and rest else rest.split(b" ") if rest else []
        least, most = command.arguments
        if not least <= len(arguments) <= most or b"" in arguments:
            raise SyntaxRefusedError("Wrong number of arguments.")
        if name != b"PASS":
            self._state.user = None
        return (yield from command.handler(self._state, arguments))

    def _run(self, steps: Steps, answer: object) -> Outputs:
        try:
            while True:
                output = steps.send(answer)
                answer = None
                if isinstance(output, ContinuationRequest):
                    self._running = steps
                    yield output.prompt
                    return
                answer = yield output
        except StopIteration as done:
            yield from self._succeed(done.value)
        except RefusedError as error:
            yield from self._reject(error)
        except (MaildirError, OSError):
            yield from self._reject(RefusedError("The maildrop cannot be used at the moment.", "SYS/TEMP"))

    def _succeed(self, text: str) -> Outputs:
        self._bad_commands = 0
        if text:
            yield f"+OK {text}\r\n".encode("ascii", "replace")
        if self._state.tls_requested:
            # RFC 2595 section 4: discard octets received in cleartext before the TLS handshake.
            self._state.tls_requested = False
            self._buffer.take(len(self._buffer))
            yield StartTls()
            self._state.capabilities = Capabilities(timestamp=self._state.capabilities.timestamp)

    def _reject(self, error: RefusedError) -> Outputs:
        yield f"-ERR {error.text}\r\n".encode("ascii", "replace")
        if isinstance(error, SyntaxRefusedError):
            self._bad_commands += 1
            if self._bad_commands >= BAD_COMMANDS_MAX:
                self._state.end()
                self.release()
