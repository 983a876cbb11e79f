"""The server's protocol interpreter, server_pi (RFC 959): octets of the control connection in, actions out.

    session = server_pi(Surroundings("127.0.0.1", "127.0.0.1"))
    session.greeting()                       # [Send(b"220 ...")]
    session.receive(b"USER ann\\r\\n")         # [Authenticate("ann", Credential.NAME)]
    session.resolved(Admitted(Credential.PASSWORD))     # [Send(b"331 ...")]

Which command may come when, and who handles it, is the table in verbs.py. One command is carried out at a time; those
that come while it is wait in their order. Only ABOR is seen at once while a transfer is under way, and STAT and NOOP
are answered then if nothing waits before them (RFC 959 section 4.1.3). It reads no file and opens no connection.
"""

from collections import deque
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from enum import Enum, auto

from services.ftp import limits
from services.ftp.files.listing import DEFAULT_FACTS
from services.ftp.files.paths import PathError, VirtualPath, normalise
from services.ftp.grammar import ArgumentError, DataAddress, DataType
from services.ftp.replies import is_refusal, reply
from services.ftp.server_pi.actions import (
    AbortTransfer,
    Action,
    Ask,
    Close,
    CloseData,
    LogOut,
    Move,
    Note,
    Result,
    Send,
)
from services.ftp.server_pi.failures import ACTION_CODES, Cause, Failed, words
from services.ftp.telnet import Answer, Interrupt, Line, LongLine, TelnetLines

# Where a session stands: what the login has come to, and whether the one command before was RNFR.


class State(Enum):
    """States of server_pi that decide which commands are in sequence."""

    START = auto()
    PASSWORD = auto()
    ACCOUNT = auto()
    READY = auto()
    RENAMING = auto()


ALWAYS = frozenset(State)
LOGGED_IN = frozenset((State.READY, State.RENAMING))


Continuation = Callable[[Result], None]

# Commands taken up before other sessions get their turn.
BATCH_COMMANDS = 32


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a session has to know of its control connection: both addresses as text, the user's port or 0."""

    peer_host: str
    local_host: str
    peer_port: int = 0
    name: str = "lab7 FTP server"

    @property
    def protocol(self) -> int:
        """RFC 2428 section 2: 1 is IPv4, 2 is IPv6."""
        return 2 if ":" in self.peer_host else 1


# What one row of the table of commands says.

Handler = Callable[["ServerSession", str], None]


@dataclass(frozen=True, slots=True)
class Verb:
    """A command: `syntax` is its argument as HELP shows it, `[...]` for one that may be left out, empty for none."""

    states: frozenset[State]
    handle: Handler
    syntax: str = ""
    out_of_sequence: str = "Bad sequence of commands."

    def takes(self, argument: bytes) -> bool:
        """Tell whether there is an argument where one is asked for, and none where none is."""
        if not self.syntax:
            return not argument.strip()
        return bool(argument) or self.syntax.startswith("[")


class ServerSession:
    """One control connection. The attributes without underscore are for the handlers of the commands."""

    def __init__(self, surroundings: Surroundings, table: Mapping[bytes, Verb], not_implemented: Set[bytes]) -> None:
        self.surroundings = surroundings
        self.table = table
        self._not_implemented = not_implemented
        self.state = State.START
        self.user = ""
        self.attempts = 0
        self.facts: tuple[str, ...] = DEFAULT_FACTS
        self._telnet = TelnetLines()
        self._waiting: deque[bytes | None] = deque()
        self._actions: list[Action] = []
        self._then: Continuation | None = None
        self.is_moving = False
        self._is_open = False
        self._is_closed = False
        self._refusals = 0
        self.commands = 0
        self.forget_user()

    # What the shell calls.

    def greeting(self, ready: bool = True) -> list[Action]:
        """Return the first reply; where the service is not ready yet, 120, and 220 when `ready()` is called."""
        if ready:
            return self.ready()
        self.reply(120, "The server counts its files; it is ready within a minute.")
        return self._take_actions()

    def ready(self) -> list[Action]:
        """The service can be used."""
        self._is_open = True
        self.reply(220, f"{self.surroundings.name} is ready.")
        self._run()
        return self._take_actions()

    def receive(self, data: bytes) -> list[Action]:
        """Take octets of the control connection, however they are cut."""
        for event in self._telnet.feed(data):
            if self._is_closed:
                break
            if isinstance(event, Answer):
                self._actions.append(Send(event.octets))
            elif isinstance(event, Interrupt):
                # RFC 959 section 4.1: of itself it changes nothing; the command after it does.
                continue
            else:
                self._take_line(None if isinstance(event, LongLine) else event)
        self._run()
        return self._take_actions()

    def resolved(self, result: Result) -> list[Action]:
        """Take the answer to the Ask under way."""
        then, self._then = self._then, None
        if then is None:
            raise RuntimeError("nothing was asked")
        self.is_moving = False
        if not self._is_closed:
            then(result)
            self._run()
        return self._take_actions()

    def go_on(self) -> list[Action]:
        """Take up what waits; the shell calls it after others had their turn."""
        self._run()
        return self._take_actions()

    def end(self, reason: str) -> list[Action]:
        """Say 421 and close: the service stops, or the user has been idle for too long."""
        if not self._is_closed:
            self.close(421, reason)
        return self._take_actions()

    @property
    def has_work(self) -> bool:
        """Whether a command waits that could be taken up now."""
        return bool(self._waiting) and self._then is None and self._is_open and not self._is_closed

    @property
    def is_full(self) -> bool:
        """Whether so much waits that the control connection is not to be read."""
        return len(self._waiting) >= limits.WAITING_COMMANDS

    @property
    def is_busy(self) -> bool:
        """Whether an Ask is under way, so that the user waits for the server and not the other way round."""
        return self._then is not None

    @property
    def is_leaving(self) -> bool:
        """Whether QUIT has come and waits for its turn."""
        return any(line is not None and _verb_of(line) == b"QUIT" for line in self._waiting)

    @property
    def is_logged_in(self) -> bool:
        """Whether a user is logged in."""
        return self.state in LOGGED_IN

    # What the handlers of commands call.

    def reply(self, code: int, *lines: str) -> None:
        """Send a reply."""
        self._actions.append(Send(reply(code, *lines)))
        self._refusals = self._refusals + 1 if is_refusal(code) else 0

    def fail(self, failed: Failed, codes: Mapping[Cause, int]) -> None:
        """Send the reply that a cause earns by one of the tables of causes.py, 451 where that does not have it."""
        self.reply(codes.get(failed.cause, 451), words(failed))

    def act(self, action: Action) -> None:
        """Have something done that needs no answer."""
        self._actions.append(action)

    def note(self, event: str, **values: object) -> None:
        """Write an event to the log."""
        self._actions.append(Note(event, values))

    def ask(self, question: Ask, then: Continuation) -> None:
        """Have something done, and go on with `then` when its result is there."""
        self._actions.append(question)
        self._then = then
        if isinstance(question, Move):
            self.is_moving = True
            if any(line is not None and _verb_of(line) == b"ABOR" for line in self._waiting):
                self._actions.append(AbortTransfer())

    def attempt(self, question: Ask, then: Continuation, codes: Mapping[Cause, int] = ACTION_CODES) -> None:
        """Have something done, and go on with `then` where it was; where it failed, its cause is the reply."""

        def resolved(result: Result) -> None:
            if isinstance(result, Failed):
                self.fail(result, codes)
            else:
                then(result)

        self.ask(question, resolved)

    def close(self, code: int, text: str) -> None:
        """Send a last reply and close."""
        self.reply(code, text)
        self._actions += [CloseData(), Close()]
        self._is_closed = True
        self._waiting.clear()

    def path(self, argument: str) -> VirtualPath:
        """Return the path that an argument names from the working directory; raises PathError."""
        return normalise(self.directory, argument)

    def forget_user(self) -> None:
        """Be as after the greeting, but for the wrong passwords counted so far."""
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
        """There is no data connection, nor an agreement on one."""
        self.is_passive = False
        self.data_is_open = False
        self.target: DataAddress | None = None

    @property
    def default_target(self) -> DataAddress | None:
        """RFC 959 section 3.2: where nothing was agreed on, the data connection goes to the user's control port."""
        port = self.surroundings.peer_port
        if self.only_extended_passive or port < limits.DATA_PORT_MIN:
            return None
        return DataAddress(self.surroundings.peer_host, port)

    def log_out(self) -> None:
        """Forget the user, here and in the shell."""
        self.forget_user()
        self._actions += [CloseData(), LogOut()]

    # Commands, one after the other.

    def _take_line(self, line: Line | None) -> None:
        octets = None if line is None else line.octets
        verb = b"" if octets is None else _verb_of(octets)
        if self.is_moving and octets is not None:
            if verb == b"ABOR":
                self._actions.append(AbortTransfer())
            elif not self._waiting and octets.strip().upper() in (b"STAT", b"NOOP"):
                self._carry_out(octets)
                return
        self._waiting.append(octets)

    def _run(self) -> None:
        for _ in range(BATCH_COMMANDS):
            if not self.has_work:
                break
            line = self._waiting.popleft()
            self.commands += 1
            if line is None:
                self.note("line_too_long", limit_octets=limits.LINE_OCTETS)
                self.reply(500, f"A command line has {limits.LINE_OCTETS} octets at most.")
            else:
                self._carry_out(line)
            if self._refusals >= limits.REFUSALS_IN_A_ROW and not self._is_closed:
                self.note("too_many_errors", count=self._refusals)
                self.close(421, "Too many commands were refused.")

    def _carry_out(self, line: bytes) -> None:
        name, _, argument = line.partition(b" ")
        name = name.upper()
        verb = self.table.get(name)
        if self.state is State.RENAMING and name != b"RNTO":
            # RFC 959 section 4.1.3: RNFR is followed by RNTO at once.
            self.state = State.READY
        if verb is None:
            self._refuse_unknown(name)
        elif self.state not in verb.states:
            self._refuse_now(verb)
        elif not verb.takes(argument):
            self.reply(501, f"The syntax is: {name.decode('ascii')} {verb.syntax}".rstrip())
        else:
            try:
                verb.handle(self, argument.decode("utf-8", "surrogateescape"))
            except (ArgumentError, PathError) as error:
                self.reply(501, f"Syntax error in the argument: {error}.")

    def _refuse_now(self, verb: Verb) -> None:
        if verb.states <= LOGGED_IN and not self.is_logged_in:
            self.reply(530, "Log in with USER and PASS first.")
        else:
            self.reply(503, verb.out_of_sequence)

    def _refuse_unknown(self, name: bytes) -> None:
        if name in self._not_implemented:
            self.reply(502, "The command is not implemented.")
        else:
            self.reply(500, "The command is not known.")

    def _take_actions(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions


def _verb_of(line: bytes) -> bytes:
    return line[:5].strip().upper()
