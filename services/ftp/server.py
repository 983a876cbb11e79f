"""FTP server (RFC 959, 1123, 2389, 2428, 3659) for users with home directories and quotas, and for anonymous readers.

    $ python -m lab7.services.ftp.server --root pub --port 2121
    READY ftp 127.0.0.1:2121 [::1]:2121
    $ curl ftp://127.0.0.1:2121/

    $ python -m lab7.services.ftp.server --root srv --users users.toml --anonymous --passive-ports 50000-50099

Without --user and --users, the root is served to anonymous users. Left out: TLS (RFC 4217), because a capture of FTP is
meant to show what an eavesdropper can read; record and page structure, block and compressed mode (RFC 1123 section
4.1.2.13 requires none of them); server-to-server transfers, which permit the bounce attack (RFC 2577).
"""

import argparse
import sys
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from threading import Lock

from lab7.services.connections import ConnectionLimits, ConnectionSet, Refusal, Slot
from lab7.services.errors import ServiceError
from lab7.services.faults import add_fault_flag
from lab7.services.flags import port, positive_integer, positive_seconds
from lab7.services.ftp.accounts import Account, Accounts, load_accounts, parse_account
from lab7.services.ftp.faults import SERVER_FAULTS, FaultyControlConnection
from lab7.services.ftp.files.jailed_tree import JailedTree
from lab7.services.ftp.files.quota import Quota
from lab7.services.ftp.files.user_files import UserFiles
from lab7.services.ftp.limits import WORKERS, Limits
from lab7.services.ftp.replies import reply
from lab7.services.ftp.server_dtp.data_connection import DataSettings
from lab7.services.ftp.server_dtp.upload import Sync
from lab7.services.ftp.server_pi.connection import ControlConnection
from lab7.services.ftp.server_pi.context import ServerContext
from lab7.services.shell import Shell, add_common_flags, run_service

DEFAULT_PORT = 21


class FTPServer:
    """FTP server: creates a control connection for each client, and holds the accounts and the files of all users."""

    def __init__(
        self,
        shell: Shell,
        accounts: Accounts,
        data_settings: DataSettings,
        limits: Limits,
        sync: Sync,
        faults: Collection[str] = (),
    ) -> None:
        user_files = {account.name: _user_files(account, sync) for account in accounts}
        self._context = ServerContext(
            shell.loop, shell.log, shell.wall_clock, accounts, user_files, data_settings, limits
        )
        self._connection = partial(FaultyControlConnection, faults=faults) if faults else ControlConnection
        maxima = ConnectionLimits(limits.sessions, limits.sessions_an_address)
        self.connections = ConnectionSet(shell.loop, maxima, _refusal, shell.log, limits.sweep_s)

    def protocol(self, slot: Slot) -> ControlConnection:
        """Return the asyncio protocol for a new control connection."""
        return self._connection(self._context, slot)

    async def count_files(self) -> None:
        """Compute the usage of all home directories with a quota.

        Clients get reply 120 (service not ready) until this is done.
        """
        context = self._context
        for files in context.user_files.values():
            if files.quota.limit_bytes is not None:
                used = await context.loop.run_in_executor(context.data_settings.workers, files.tree.size_bytes)
                files.quota.set_used(used)
        context.is_ready = True
        for connection in self.connections:
            if isinstance(connection, ControlConnection):
                connection.ready()

    async def stop(self) -> None:
        """End all sessions, and wait at most `drain_s` seconds for commands and transfers in progress."""
        await self.connections.drain(task_s=self._context.limits.drain_s)
        self._context.data_settings.workers.shutdown(wait=True)


def _refusal(why: Refusal) -> bytes:
    """Return the octets of reply 421 to a client whose connection is refused (RFC 959 section 5.4)."""
    if why is Refusal.ADDRESS:
        return reply(421, "Too many connections from your address.")
    return reply(421, "Too many users; try again later.")


def _user_files(account: Account, sync: Sync) -> UserFiles:
    return UserFiles(JailedTree(account.home), Quota(account.quota_bytes, Lock()), account.writable, sync)


def _ports(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not (low.isdigit() and high.isdigit() and 1024 <= int(low) <= int(high) <= 65535):
        raise argparse.ArgumentTypeError(f"invalid port range {text!r}: expected LOW-HIGH, from 1024 to 65535")
    return int(low), int(high)


@cache
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab7.services.ftp.server", description="FTP server (RFC 959).")
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="directory of anonymous users, and base of relative home directories"
    )
    parser.add_argument(
        "--users", type=Path, metavar="FILE", help="read users from a TOML file (services/ftp/accounts.py)"
    )
    parser.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME:PASSWORD[:HOME]",
        help="add a user account; HOME is the home directory; repeatable",
    )
    parser.add_argument("--anonymous", action="store_true", help="let anonymous users read files below the root")
    parser.add_argument(
        "--passive-ports",
        type=_ports,
        metavar="LOW-HIGH",
        help="range of ports on which data connections are accepted in passive mode (default: any port)",
    )
    parser.add_argument(
        "--passive-address",
        metavar="ADDR",
        help="IPv4 address in the reply to PASV (default: the server's address of the control connection)",
    )
    parser.add_argument(
        "--data-port",
        type=port,
        metavar="N",
        help="source port of data connections in active mode (default: control port - 1)",
    )
    parser.add_argument(
        "--fsync",
        choices=[policy.value for policy in Sync],
        default=Sync.REPLACE.value,
        help="fsync uploads before the reply: if they replace a file, always, or never (default: %(default)s)",
    )
    limits, data = Limits(), DataSettings.__dataclass_fields__
    count, wait = positive_integer, positive_seconds
    connect_s, stall_s = data["connect_s"].default, data["stall_s"].default
    for flag, kind, default, text in (
        ("--max-sessions", count, limits.sessions, "maximum concurrent sessions"),
        ("--max-per-address", count, limits.sessions_an_address, "maximum concurrent sessions of one address"),
        ("--idle", wait, limits.idle_s, "end a session after N seconds without a command"),
        ("--login-timeout", wait, limits.login_s, "end a session without a login after N seconds"),
        ("--password-delay", wait, limits.wrong_password_s, "delay the reply to a wrong password by N seconds"),
        ("--connect-timeout", wait, connect_s, "wait N seconds for a data connection to be established"),
        ("--stall-timeout", wait, stall_s, "abort a transfer after N seconds without an octet"),
    ):
        parser.add_argument(flag, type=kind, default=default, metavar="N", help=f"{text} (default: {default})")
    add_fault_flag(parser, SERVER_FAULTS)
    add_common_flags(parser, DEFAULT_PORT)
    return parser


def _accounts(options: argparse.Namespace) -> Accounts:
    if options.root is None and options.users is None:
        raise ServiceError("nothing to serve: name a directory with --root or users with --users")
    base = options.root if options.root is not None else options.users.parent
    users = load_accounts(options.users, base) if options.users is not None else []
    try:
        users += [parse_account(text, base) for text in options.user]
    except ValueError as error:
        raise ServiceError(f"{error}: see --user") from error
    anonymous = options.anonymous or not users
    return Accounts(users, Account("anonymous", base, writable=False, anonymous=True) if anonymous else None)


def main(argv: list[str] | None = None) -> int:
    """Run the server until SIGTERM and return its exit status."""
    options = _parser().parse_args(argv)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        data_settings = DataSettings(
            shell.loop,
            ThreadPoolExecutor(WORKERS, "ftp"),
            shell.log,
            shell.random,
            options.passive_ports,
            options.passive_address,
            options.data_port,
            options.connect_timeout,
            options.stall_timeout,
        )
        limits = Limits(
            options.max_sessions,
            options.max_per_address,
            options.idle,
            options.login_timeout,
            options.password_delay,
        )
        server = FTPServer(shell, _accounts(options), data_settings, limits, Sync(options.fsync), options.fault)
        await shell.open_tcp(server.protocol, connections=server.connections)
        await server.count_files()
        return server.stop

    return run_service("ftp", options, start)


if __name__ == "__main__":
    sys.exit(main())
