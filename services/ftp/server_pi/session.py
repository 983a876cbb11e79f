r"""Session of server-PI (RFC 959), sans-IO: octets of the control connection in, actions out.

    session = server_pi(ConnectionInfo("127.0.0.1", "127.0.0.1"))
    session.greeting()                       # [Send(b"220 ...")]
    session.receive(b"USER ann\r\n")         # [Authenticate("ann", Credential.NAME)], a request to check the name
    session.resolved(Admitted(Credential.PASSWORD))     # its result: PASS comes next; returns [Send(b"331 ...")]

The table in commands.py maps each verb to the states in which it is allowed, and to its handler. One command is
executed at a time; pipelined commands are buffered in order. During a transfer, ABOR is handled at once, and so are
STAT and NOOP if no other command is buffered (RFC 959 section 4.1.3).
"""

from collections import deque
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from enum import Enum, auto

from lab7.services.ftp import limits
from lab7.services.ftp.files.listing import DEFAULT_FACTS
from lab7.services.ftp.files.paths import PathError, VirtualPath, normalise
from lab7.services.ftp.grammar import ArgumentError, DataAddress, DataType
from lab7.services.ftp.replies import is_refusal, reply
from lab7.services.ftp.server_pi.actions import (
    AbortTransfer,
    Action,
    Close,
    CloseData,
    LogEvent,
    LogOut,
    Request,
    Result,
    Send,
    StartTransfer,
)
from lab7.services.ftp.server_pi.failures import ACTION_CODES, Cause, Failed, failure_text
from lab7.services.ftp.telnet import Answer, Interrupt, Line, LongLine, TelnetLines


class State(Enum):
    """State of a session: the steps of the login, and RENAMING directly after RNFR."""

    START = auto()
    PASSWORD = auto()
    ACCOUNT = auto()
    READY = auto()
    RENAMING = auto()


ALWAYS = frozenset(State)
LOGGED_IN = frozenset((State.READY, State.RENAMING))


Continuation = Callable[[Result], None]

# Maximum buffered commands of one session that are executed before the event loop serves other sessions.
BATCH_COMMANDS = 32


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """Properties of the control connection: both sides' addresses, client port (0: unknown) and server name."""

    peer_host: str
    local_host: str
    peer_port: int = 0
    name: str = "lab7 FTP server"

    @property
    def protocol(self) -> int:
        """Network protocol number of EPRT (RFC 2428 section 2): 1 for IPv4, 2 for IPv6."""
        return 2 if ":" in self.peer_host else 1


Handler = Callable[["ServerSession", str], None]


@dataclass(frozen=True, slots=True)
class Verb:
    """Row of the command table: states that permit the command, handler, and `syntax`, the argument as HELP shows it.

    An optional argument is in `[...]`; the syntax is empty for a command without argument.
    """

    states: frozenset[State]
    handle: Handler
    syntax: str = ""
    out_of_sequence: str = "Bad sequence of commands."

    def accepts(self, argument: bytes) -> bool:
        """Return whether a command may have the argument `argument`; b"" stands for no argument."""
        if not self.syntax:
            return not argument.strip()
        return bool(argument) or self.syntax.startswith("[")


class ServerSession:
    """Sans-IO session of one control connection: parses commands, queues them, and returns actions to carry out.

    The handlers of commands read and set its public attributes.
    """

    def __init__(
        self, connection_info: ConnectionInfo, table: Mapping[bytes, Verb], not_implemented: Set[bytes]
    ) -> None:
        self.connection_info = connection_info
        self.table = table
        self._not_implemented = not_implemented
        self.state = State.START
        self.user = ""
        self.attempts = 0
        self.facts: tuple[str, ...] = DEFAULT_FACTS
        self._telnet = TelnetLines()
        self._waiting: deque[bytes | None] = deque()
        self._actions: list[Action] = []
        self._on_result: Continuation | None = None
        self.is_transferring = False
        self._is_open = False
        self._is_closed = False
        self._refusals = 0
        self.commands = 0
        self.forget_user()

    # Methods that the connection calls.

    def greeting(self, ready: bool = True) -> list[Action]:
        """Return the actions that send the greeting: 220 or, if not `ready`, 120 (ready() sends 220 later)."""
        if ready:
            return self.ready()
        self.reply(120, "Service ready within a minute: computing the disk usage of users.")
        return self._take_actions()

    def ready(self) -> list[Action]:
        """Return the actions that send 220 and execute the commands buffered so far."""
        self._is_open = True
        self.reply(220, f"{self.connection_info.name} ready.")
        self._run()
        return self._take_actions()

    def receive(self, data: bytes) -> list[Action]:
        """Parse octets of the control connection; return the actions to carry out."""
        for event in self._telnet.feed(data):
            if self._is_closed:
                break
            if isinstance(event, Answer):
                self._actions.append(Send(event.octets))
            elif isinstance(event, Interrupt):
                # RFC 959 section 4.1: Telnet's Interrupt Process only announces the next command, such as ABOR.
                continue
            else:
                self._buffer_line(None if isinstance(event, LongLine) else event)
        self._run()
        return self._take_actions()

    def resolved(self, result: Result) -> list[Action]:
        """Continue the current command with the result of its I/O request; return the next actions."""
        on_result, self._on_result = self._on_result, None
        if on_result is None:
            raise RuntimeError("there is no request to resolve")
        self.is_transferring = False
        if not self._is_closed:
            on_result(result)
            self._run()
        return self._take_actions()

    def resume(self) -> list[Action]:
        """Execute further buffered commands and return their actions.

        The connection calls this after the event loop has served other sessions.
        """
        self._run()
        return self._take_actions()

    def end(self, reason: str) -> list[Action]:
        """Return the actions that reply 421 and close: at shutdown, after an idle timeout, or on eviction."""
        if not self._is_closed:
            self.close(421, reason)
        return self._take_actions()

    @property
    def has_work(self) -> bool:
        """True while a buffered command can be executed."""
        return bool(self._waiting) and self._on_result is None and self._is_open and not self._is_closed

    @property
    def is_full(self) -> bool:
        """True while the maximum number of commands is buffered; the connection then pauses reading."""
        return len(self._waiting) >= limits.WAITING_COMMANDS

    @property
    def is_busy(self) -> bool:
        """True while an I/O request of the session has no result yet; no idle timeout runs, since the client waits."""
        return self._on_result is not None

    @property
    def is_leaving(self) -> bool:
        """True if the buffered commands include QUIT."""
        return any(line is not None and _verb_of(line) == b"QUIT" for line in self._waiting)

    @property
    def is_logged_in(self) -> bool:
        """True while a user is logged in."""
        return self.state in LOGGED_IN

    # Methods that command handlers call.

    def reply(self, code: int, *lines: str) -> None:
        """Append a reply of one or several lines to the actions that the session returns."""
        self._actions.append(Send(reply(code, *lines)))
        self._refusals = self._refusals + 1 if is_refusal(code) else 0

    def fail(self, failed: Failed, codes: Mapping[Cause, int]) -> None:
        """Reply to the client after a failed I/O request; `codes` maps causes to reply codes, other causes get 451."""
        self.reply(codes.get(failed.cause, 451), failure_text(failed))

    def act(self, action: Action) -> None:
        """Append an action that has no result to the actions that the session returns."""
        self._actions.append(action)

    def log_event(self, event: str, **values: object) -> None:
        """Append the writing of a log event to the actions that the session returns."""
        self._actions.append(LogEvent(event, values))

    def request(self, request: Request, on_result: Continuation) -> None:
        """Append an I/O request to the actions to return; later resolved() calls `on_result` with its result."""
        self._actions.append(request)
        self._on_result = on_result
        if isinstance(request, StartTransfer):
            self.is_transferring = True
            if any(line is not None and _verb_of(line) == b"ABOR" for line in self._waiting):
                self._actions.append(AbortTransfer())

    def attempt(self, request: Request, on_result: Continuation, codes: Mapping[Cause, int] = ACTION_CODES) -> None:
        """Make an I/O request as request() does, and reply to the client if it fails.

        On success, `on_result` is called with the result; `codes` maps the causes of failures to reply codes.
        """

        def resolved(result: Result) -> None:
            if isinstance(result, Failed):
                self.fail(result, codes)
            else:
                on_result(result)

        self.request(request, resolved)

    def close(self, code: int, text: str) -> None:
        """Send a last reply, then close the control connection."""
        self.reply(code, text)
        self._actions += [CloseData(), Close()]
        self._is_closed = True
        self._waiting.clear()

    def path(self, argument: str) -> VirtualPath:
        """Resolve a path argument against the working directory; raises PathError."""
        return normalise(self.directory, argument)

    def forget_user(self) -> None:
        """Reset the session to its state after the greeting; the count of wrong passwords is kept."""
        self.state = State.START
        self.user = ""
        self.directory: VirtualPath = ()
        self.account_to_store = False
        self.rename_from: VirtualPath = ()
        self.forget_parameters()

    def forget_parameters(self) -> None:
        """Set the transfer parameters to their defaults (RFC 959 section 5.1)."""
        self.data_type = DataType.ASCII
        self.restart_offset = 0
        self.only_extended_passive = False
        self.forget_data_port()

    def forget_data_port(self) -> None:
        """Discard the address given by PORT or EPRT, passive mode, and the state of the data connection."""
        self.is_passive = False
        self.data_is_open = False
        self.target: DataAddress | None = None

    @property
    def default_target(self) -> DataAddress | None:
        """The default address of the data connection in active mode: the client's address and control port.

        RFC 959 3.2. None if this target is not permitted: after EPSV ALL, and for a port below DATA_PORT_MIN.
        """
        port = self.connection_info.peer_port
        if self.only_extended_passive or port < limits.DATA_PORT_MIN:
            return None
        return DataAddress(self.connection_info.peer_host, port)

    def log_out(self) -> None:
        """Log the user out: reset the session, and append the actions CloseData and LogOut."""
        self.forget_user()
        self._actions += [CloseData(), LogOut()]

    # Methods that execute commands sequentially.

    def _buffer_line(self, line: Line | None) -> None:
        octets = None if line is None else line.octets
        verb = b"" if octets is None else _verb_of(octets)
        if self.is_transferring and octets is not None:
            if verb == b"ABOR":
                self._actions.append(AbortTransfer())
            elif not self._waiting and octets.strip().upper() in (b"STAT", b"NOOP"):
                self._execute(octets)
                return
        self._waiting.append(octets)

    def _run(self) -> None:
        for _ in range(BATCH_COMMANDS):
            if not self.has_work:
                break
            line = self._waiting.popleft()
            self.commands += 1
            if line is None:
                self.log_event("line_too_long", limit_octets=limits.LINE_OCTETS)
                self.reply(500, f"Command line too long: the limit is {limits.LINE_OCTETS} octets.")
            else:
                self._execute(line)
            if self._refusals >= limits.REFUSALS_IN_A_ROW and not self._is_closed:
                self.log_event("too_many_errors", count=self._refusals)
                self.close(421, "Too many invalid commands.")

    def _execute(self, line: bytes) -> None:
        name, _, argument = line.partition(b" ")
        name = name.upper()
        verb = self.table.get(name)
        if self.state is State.RENAMING and name != b"RNTO":
            # RFC 959 section 4.1.3: RNTO must follow RNFR immediately.
            self.state = State.READY
        if verb is None:
            self._refuse_unknown(name)
        elif self.state not in verb.states:
            self._refuse_now(verb)
        elif not verb.accepts(argument):
            self.reply(501, f"Syntax: {name.decode('ascii')} {verb.syntax}".rstrip())
        else:
            try:
                verb.handle(self, argument.decode("utf-8", "surrogateescape"))
            except (ArgumentError, PathError) as error:
                self.reply(501, f"Syntax error in arguments: {error}.")

    def _refuse_now(self, verb: Verb) -> None:
        if verb.states <= LOGGED_IN and not self.is_logged_in:
            self.reply(530, "Please login with USER and PASS.")
        else:
            self.reply(503, verb.out_of_sequence)

    def _refuse_unknown(self, name: bytes) -> None:
        if name in self._not_implemented:
            self.reply(502, "Command not implemented.")
        else:
            self.reply(500, "Unknown command.")

    def _take_actions(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions


def _verb_of(line: bytes) -> bytes:
    return line[:5].strip().upper()
