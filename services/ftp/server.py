"""An FTP server: users with homes and quotas, and anonymous ones who read.

    $ python -m services.ftp.server --root pub --port 2121
    READY ftp 127.0.0.1:2121 [::1]:2121
    $ curl ftp://127.0.0.1:2121/

    $ python -m services.ftp.server --root srv --users users.toml --anonymous --passive-ports 50000-50099

With nobody named by --user or --users, the folder is served to anonymous users. Left out: TLS (RFC 4217), since the
lesson is what an eavesdropper sees without it; records, pages, blocks and compression (RFC 1123 section 4.1.2.13 asks
for none of them); server-to-server transfers, which are the bounce attack (RFC 2577).
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from services.connections import ConnectionLimits, Refusal
from services.errors import ServiceError
from services.ftp.accounts import Account, Accounts, account_of, load_accounts
from services.ftp.files.jailed_tree import Tree
from services.ftp.files.quota import Quota
from services.ftp.files.user_files import Home
from services.ftp.limits import WORKERS
from services.ftp.replies import reply
from services.ftp.server_dtp.data_connection import DataPlan
from services.ftp.server_dtp.upload import Sync
from services.ftp.server_pi.connection import Serving
from services.listener import Connections, Slot
from services.shell import Shell, add_common_flags, run_service
from services.sweep import Sweep

DEFAULT_PORT = 21


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server gives its users: counts and seconds."""

    # pyftpdlib's max_cons default.
    sessions: int = 512
    # So that one host cannot take all of them; vsftpd and pyftpdlib have such a bound, off by default.
    sessions_an_address: int = 256
    # RFC 1123 section 4.1.3.2: five minutes at least.
    idle_s: float = 300.0
    # OpenSSH's LoginGraceTime: from the connection to the login, whatever the client sends meanwhile.
    login_s: float = 120.0
    # vsftpd's delay_failed_login; RFC 2577 section 5 suggests 5 s.
    wrong_password_s: float = 1.0
    # Commands a session may send: far more than any user agent does over any network.
    commands_a_second: float = 2000.0
    # After the last reply, for a user who does not read it.
    linger_s: float = 5.0
    # On a stop, what is under way may still take; Docker kills after 10 s.
    drain_s: float = 5.0
    sweep_s: float = 0.5


class FTPServer:
    """All sessions of one server, and the homes of its users."""

    def __init__(self, shell: Shell, accounts: Accounts, plan: DataPlan, limits: Limits, sync: Sync) -> None:
        self.loop, self.log, self.wall_clock = shell.loop, shell.log, shell.wall_clock
        self.accounts, self.plan, self.limits = accounts, plan, limits
        self.homes = {one.name: _home(one, sync) for one in accounts}
        self.is_ready = False
        self.command_budget = int(limits.commands_a_second * limits.sweep_s)
        bounds = ConnectionLimits(limits.sessions, limits.sessions_an_address)
        self.connections = Connections(shell.loop, bounds, _refusal, shell.log)
        self._sessions: set[Serving] = set()
        self._sweep = Sweep(self.loop, limits.sweep_s, self._look)

    def now(self) -> float:
        """Return the loop's time."""
        return self.loop.time()

    def protocol(self, slot: Slot) -> Serving:
        """Return what serves a connection that came."""
        return Serving(self, slot)

    async def count_files(self) -> None:
        """Find out what the homes that have a quota hold; until then users are told to wait (120)."""
        for home in self.homes.values():
            if home.quota.limit_bytes is not None:
                used = await self.loop.run_in_executor(self.plan.workers, home.tree.size_bytes)
                home.quota.set_used(used)
        self.is_ready = True
        for session in list(self._sessions):
            session.ready()

    def serve(self, session: Serving) -> None:
        """Hold a session to its deadlines from here on."""
        self._sessions.add(session)
        self._sweep.wake()

    def forget(self, session: Serving) -> None:
        """Count a session out."""
        self._sessions.discard(session)

    async def stop(self) -> None:
        """End all sessions, and wait for what is under way, for a while."""
        self._sweep.cancel()
        working = {session.work for session in self._sessions if session.work is not None}
        for session in list(self._sessions):
            session.stop("The server stops.")
        if working:
            await asyncio.wait(working, timeout=self.limits.drain_s)
        self.plan.workers.shutdown(wait=True)

    def _look(self) -> bool:
        now = self.now()
        for session in list(self._sessions):
            session.sweep(now)
        return bool(self._sessions)


def _refusal(why: Refusal) -> bytes:
    """RFC 959 section 5.4: a connection is answered by 120, 220 or 421."""
    if why is Refusal.ADDRESS:
        return reply(421, "Too many sessions come from your address.")
    return reply(421, "Too many users are connected; try again later.")


def _home(account: Account, sync: Sync) -> Home:
    return Home(Tree(account.home), Quota(account.quota_bytes, Lock()), account.writable, sync)


def _ports(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not (low.isdigit() and high.isdigit() and 1024 <= int(low) <= int(high) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no range LOW-HIGH of ports from 1024 to 65535")
    return int(low), int(high)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above zero")
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.ftp.server", description="Serve files by FTP.")
    parser.add_argument("--root", type=Path, metavar="DIR", help="the anonymous home, and where the users' homes are")
    parser.add_argument("--users", type=Path, metavar="FILE", help="a TOML file of users (services/ftp/accounts.py)")
    parser.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME:PASSWORD[:HOME]",
        help="a user; may be given more than once",
    )
    parser.add_argument("--anonymous", action="store_true", help="let anonymous users read what is below the root")
    parser.add_argument(
        "--passive-ports", type=_ports, metavar="LOW-HIGH", help="ports for passive mode (default: any)"
    )
    parser.add_argument("--passive-address", metavar="ADDR", help="address that PASV tells (default: the one in use)")
    parser.add_argument(
        "--data-port", type=int, metavar="N", help="source port of active mode (default: the control port less one)"
    )
    parser.add_argument(
        "--fsync",
        choices=[one.value for one in Sync],
        default=Sync.REPLACE.value,
        help="when an upload waits for the disk",
    )
    bounds, data = Limits(), DataPlan.__dataclass_fields__
    for flag, kind, default, text in (
        ("--max-sessions", _count, bounds.sessions, "sessions at once"),
        ("--max-per-address", _count, bounds.sessions_an_address, "sessions at once from one address"),
        ("--idle", _positive, bounds.idle_s, "seconds without a command after which a session ends"),
        ("--login-timeout", _positive, bounds.login_s, "seconds from the connection to the login"),
        ("--password-delay", _positive, bounds.wrong_password_s, "seconds before the reply to a wrong password"),
        ("--connect-timeout", _positive, data["connect_s"].default, "seconds for a data connection to be made"),
        ("--stall-timeout", _positive, data["stall_s"].default, "seconds without an octet after which a transfer ends"),
    ):
        parser.add_argument(flag, type=kind, default=default, metavar="N", help=f"{text} (default: {default})")
    add_common_flags(parser, DEFAULT_PORT)
    return parser


def _accounts(options: argparse.Namespace) -> Accounts:
    if options.root is None and options.users is None:
        raise ServiceError("nothing is to be served: name a folder with --root or users with --users")
    base = options.root if options.root is not None else options.users.parent
    users = load_accounts(options.users, base) if options.users is not None else []
    try:
        users += [account_of(text, base) for text in options.user]
    except ValueError as error:
        raise ServiceError(f"{error}: see --user") from error
    anonymous = options.anonymous or not users
    return Accounts(users, Account("anonymous", base, writable=False, anonymous=True) if anonymous else None)


def main(argv: list[str] | None = None) -> int:
    """Run the server until SIGTERM; returns its exit status."""
    options = _parser().parse_args(argv)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        plan = DataPlan(
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
        server = FTPServer(shell, _accounts(options), plan, limits, Sync(options.fsync))
        await shell.open_tcp(server.protocol, connections=server.connections)
        await server.count_files()
        return server.stop

    return run_service("ftp", options, start)


if __name__ == "__main__":
    sys.exit(main())
