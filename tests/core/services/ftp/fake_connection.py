"""A fake control connection: commands in, replies out; requests are executed at once, without sockets."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from pathlib import Path

from lab7.services.ftp.accounts import Account, Accounts, check_credential
from lab7.services.ftp.files.jailed_tree import FileError, JailedTree
from lab7.services.ftp.files.quota import Quota
from lab7.services.ftp.files.user_files import UserFiles
from lab7.services.ftp.grammar import DataAddress
from lab7.services.ftp.server_dtp.open_transfer import execute_request, open_transfer
from lab7.services.ftp.server_dtp.transfer import Transfer
from lab7.services.ftp.server_pi import actions
from lab7.services.ftp.server_pi.commands import server_pi
from lab7.services.ftp.server_pi.failures import Cause, Failed
from lab7.services.ftp.server_pi.session import ConnectionInfo

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


class FakeConnection:
    """A fake connection; `data` is sent on the data connection for uploads, `sent` has the octets of downloads."""

    def __init__(self, root: Path, connection_info: ConnectionInfo | None = None) -> None:
        self.session = server_pi(connection_info or ConnectionInfo(PEER, OWN))
        self.accounts = accounts(root)
        self.data = b""
        self.sent: list[bytes] = []
        self.log_events: list[actions.LogEvent] = []
        # Targets of active mode.
        self.targets: list[DataAddress] = []
        self.out = b""
        self.closed = False
        self.passive_ports = [50_000] * 1000
        # Results of the next transfers, if a test sets them; and whether transfers wait for end_transfer().
        self.outcomes: list[Failed] = []
        self.holds_transfers = False
        self.user_connects_first = False
        self.files: UserFiles | None = None
        self._transfer: Transfer | None = None

    def greet(self, ready: bool = True) -> list[str]:
        self._run(self.session.greeting(ready))
        return self._take_replies()

    def open(self) -> list[str]:
        """Make the service ready."""
        self._run(self.session.ready())
        self._resume()
        return self._take_replies()

    def feed(self, octets: bytes) -> list[str]:
        """Handle octets and return the replies, line by line."""
        self._run(self.session.receive(octets))
        self._resume()
        return self._take_replies()

    def say(self, *commands: str) -> list[str]:
        return self.feed("".join(command + "\r\n" for command in commands).encode())

    def codes(self, *commands: str) -> list[int]:
        """Return the codes of the replies to commands."""
        return codes_of(self.say(*commands))

    def log_in(self, user: str = "ann") -> None:
        self.greet()
        assert self.codes(f"USER {user}", "PASS secret")[-1] == 230

    def end_transfer(self, result: actions.Result) -> list[str]:
        self._end_transfer(result)
        self._resume()
        return self._take_replies()

    def _end_transfer(self, result: actions.Result) -> None:
        if isinstance(result, Failed) and self._transfer is not None:
            self._transfer.abandon()
        self._run(self.session.resolved(result))

    def _resume(self) -> None:
        while self.session.has_work:
            self._run(self.session.resume())

    def _take_replies(self) -> list[str]:
        out, self.out = self.out, b""
        return out.decode("utf-8", "surrogateescape").split("\r\n")[:-1]

    def _run(self, actions_to_perform: Sequence[actions.Action]) -> None:
        for action in actions_to_perform:
            if isinstance(action, actions.Send):
                assert not self.closed
                self.out += action.octets
            elif isinstance(action, actions.LogEvent):
                self.log_events.append(action)
            elif isinstance(action, actions.Close):
                self.closed = True
            elif isinstance(action, actions.AbortTransfer):
                if self.holds_transfers:
                    self._end_transfer(Failed(Cause.ABORTED))
            elif not self._is_done_already(action):
                assert isinstance(action, actions.Request)
                self._run(self.session.resolved(self._answer(action)))

    def _is_done_already(self, action: actions.Action) -> bool:
        is_held = isinstance(action, actions.StartTransfer) and self.holds_transfers
        return is_held or isinstance(action, actions.CloseData | actions.LogOut)

    def _answer(self, request: actions.Request) -> actions.Result:
        try:
            return self._result(request)
        except FileError as error:
            return Failed(error.cause, error.detail)

    def _result(self, request: actions.Request) -> actions.Result:
        if isinstance(request, actions.Pause):
            return actions.Done()
        if isinstance(request, actions.Authenticate):
            account = self.accounts.find(request.user)
            answer = check_credential(account, request)
            if account is not None and isinstance(answer, actions.Admitted):
                self.files = UserFiles(JailedTree(account.home), Quota(account.quota_bytes), account.writable)
                self.files.quota.set_used(self.files.tree.size_bytes())
            return answer
        if isinstance(request, actions.OpenPassive):
            if not self.passive_ports:
                return Failed(Cause.NO_CONNECTION)
            self.session.data_is_open = self.user_connects_first
            return actions.Listening(OWN, self.passive_ports.pop())
        assert self.files is not None
        if isinstance(request, actions.OpenRead | actions.OpenWrite | actions.OpenListing):
            self._transfer, opened = open_transfer(self.files, request, NOW)
            return opened
        if isinstance(request, actions.StartTransfer):
            self.targets += [request.target] if request.target is not None else []
            return self._run_transfer()
        return execute_request(self.files, request, NOW)

    def _run_transfer(self) -> actions.Result:
        transfer = self._transfer
        assert transfer is not None
        if self.outcomes:
            transfer.abandon()
            return self.outcomes.pop(0)
        own, other = socket.socketpair()
        with own, other:
            own.setblocking(False)
            try:
                if not transfer.sends:
                    other.sendall(self.data)
                other.shutdown(socket.SHUT_WR)
                assert transfer.step(own)
                transfer.finish()
            except FileError:
                transfer.abandon()
                raise
            own.shutdown(socket.SHUT_WR)
            self.sent.append(b"".join(iter(lambda: other.recv(65_536), b"")))
        return actions.TransferComplete(transfer.octets)


def codes_of(lines: Sequence[str]) -> list[int]:
    """Parse the codes of replies; a multi-line reply has one."""
    return [int(line[:3]) for line in lines if re.match(r"\d\d\d ", line)]
