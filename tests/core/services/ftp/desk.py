"""A session without sockets: commands in, replies out; what the core asks for is done at once, or as a test says."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from pathlib import Path

from services.ftp.accounts import Account, Accounts, admit
from services.ftp.files.jailed_tree import FileError, Tree
from services.ftp.files.quota import Quota
from services.ftp.files.user_files import Home
from services.ftp.grammar import DataAddress
from services.ftp.server_dtp.open_transfer import carry_out, open_transfer
from services.ftp.server_dtp.transfer import Mover
from services.ftp.server_pi import actions
from services.ftp.server_pi.commands import server_pi
from services.ftp.server_pi.failures import Cause, Failed
from services.ftp.server_pi.session import Surroundings

PEER, OWN = "192.0.2.7", "192.0.2.1"
LOGIN = "USER ann\r\nPASS secret\r\n"
# 1994-11-06 08:49:37 UTC
NOW = 784_111_777.0


def accounts(root: Path) -> Accounts:
    users = (
        Account("ann", root, "plain:secret"),
        Account("open", root),
        Account("billed", root, "plain:secret", account="books"),
        Account("clerk", root, "plain:secret", account="books", account_for="storing"),
        Account("small", root, "plain:secret", quota_bytes=20),
    )
    return Accounts(users, Account("anonymous", root, writable=False, anonymous=True))


class Desk:
    """`data` is what the user sends on the data connection; `sent` is what came on it."""

    def __init__(self, root: Path, surroundings: Surroundings | None = None) -> None:
        self.session = server_pi(surroundings or Surroundings(PEER, OWN))
        self.accounts = accounts(root)
        self.data = b""
        self.sent: list[bytes] = []
        self.notes: list[actions.Note] = []
        # Where the data connections of active mode went.
        self.targets: list[DataAddress] = []
        self.out = b""
        self.closed = False
        self.passive_ports = [50_000] * 1000
        # What a Move comes to, where a test says so; and whether it waits for `end_move`.
        self.outcomes: list[Failed] = []
        self.holds_moves = False
        self.user_connects_first = False
        self.home: Home | None = None
        self._mover: Mover | None = None

    def greet(self, ready: bool = True) -> list[str]:
        self._run(self.session.greeting(ready))
        return self._take()

    def open(self) -> list[str]:
        """The service becomes ready."""
        self._run(self.session.ready())
        self._go_on()
        return self._take()

    def feed(self, octets: bytes) -> list[str]:
        """Return the replies to these octets, line by line."""
        self._run(self.session.receive(octets))
        self._go_on()
        return self._take()

    def say(self, *commands: str) -> list[str]:
        return self.feed("".join(command + "\r\n" for command in commands).encode())

    def codes(self, *commands: str) -> list[int]:
        """Return the codes of the replies to commands."""
        return codes_of(self.say(*commands))

    def log_in(self, user: str = "ann") -> None:
        self.greet()
        assert self.codes(f"USER {user}", "PASS secret")[-1] == 230

    def end_move(self, result: actions.Result) -> list[str]:
        self._end_move(result)
        self._go_on()
        return self._take()

    def _end_move(self, result: actions.Result) -> None:
        if isinstance(result, Failed) and self._mover is not None:
            self._mover.give_up()
        self._run(self.session.resolved(result))

    def _go_on(self) -> None:
        while self.session.has_work:
            self._run(self.session.go_on())

    def _take(self) -> list[str]:
        out, self.out = self.out, b""
        return out.decode("utf-8", "surrogateescape").split("\r\n")[:-1]

    def _run(self, wanted: Sequence[actions.Action]) -> None:
        for action in wanted:
            if isinstance(action, actions.Send):
                assert not self.closed
                self.out += action.octets
            elif isinstance(action, actions.Note):
                self.notes.append(action)
            elif isinstance(action, actions.Close):
                self.closed = True
            elif isinstance(action, actions.AbortTransfer):
                if self.holds_moves:
                    self._end_move(Failed(Cause.ABORTED))
            elif not self._is_done_already(action):
                assert isinstance(action, actions.Ask)
                self._run(self.session.resolved(self._answer(action)))

    def _is_done_already(self, action: actions.Action) -> bool:
        is_held = isinstance(action, actions.Move) and self.holds_moves
        return is_held or isinstance(action, actions.CloseData | actions.LogOut)

    def _answer(self, ask: actions.Ask) -> actions.Result:
        try:
            return self._result(ask)
        except FileError as error:
            return Failed(error.cause, error.detail)

    def _result(self, ask: actions.Ask) -> actions.Result:
        if isinstance(ask, actions.Pause):
            return actions.Done()
        if isinstance(ask, actions.Authenticate):
            found = self.accounts.find(ask.user)
            answer = admit(found, ask)
            if found is not None and isinstance(answer, actions.Admitted):
                self.home = Home(Tree(found.home), Quota(found.quota_bytes), found.writable)
                self.home.quota.set_used(self.home.tree.size_bytes())
            return answer
        if isinstance(ask, actions.OpenPassive):
            if not self.passive_ports:
                return Failed(Cause.NO_CONNECTION)
            self.session.data_is_open = self.user_connects_first
            return actions.Listening(OWN, self.passive_ports.pop())
        assert self.home is not None
        if isinstance(ask, actions.OpenRead | actions.OpenWrite | actions.OpenListing):
            self._mover, opened = open_transfer(self.home, ask, NOW)
            return opened
        if isinstance(ask, actions.Move):
            self.targets += [ask.target] if ask.target is not None else []
            return self._move()
        return carry_out(self.home, ask, NOW)

    def _move(self) -> actions.Result:
        mover = self._mover
        assert mover is not None
        if self.outcomes:
            mover.give_up()
            return self.outcomes.pop(0)
        own, other = socket.socketpair()
        with own, other:
            own.setblocking(False)
            try:
                if not mover.sends:
                    other.sendall(self.data)
                other.shutdown(socket.SHUT_WR)
                assert mover.step(own)
                mover.finish()
            except FileError:
                mover.give_up()
                raise
            own.shutdown(socket.SHUT_WR)
            self.sent.append(b"".join(iter(lambda: other.recv(65_536), b"")))
        return actions.Moved(mover.octets)


def codes_of(lines: Sequence[str]) -> list[int]:
    """Return the codes of replies, one for a reply of several lines."""
    return [int(line[:3]) for line in lines if re.match(r"\d\d\d ", line)]
