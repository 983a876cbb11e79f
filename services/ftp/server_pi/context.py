"""Context shared by all control connections of an FTP server: accounts, files, limits, log and clock.

A connection refers to this object and not to the server, which is the layer above the connections.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from lab7.services.eventlog import EventLog
from lab7.services.ftp.accounts import Accounts
from lab7.services.ftp.files.user_files import UserFiles
from lab7.services.ftp.limits import Limits
from lab7.services.ftp.server_dtp.data_connection import DataSettings


@dataclass(slots=True)
class ServerContext:
    """Context shared by all control connections of an FTP server.

    `user_files` is keyed by account name; `is_ready` is False until quota usage is computed.
    """

    loop: asyncio.AbstractEventLoop
    log: EventLog
    wall_clock: Callable[[], float]
    accounts: Accounts
    user_files: dict[str, UserFiles]
    data_settings: DataSettings
    limits: Limits
    is_ready: bool = False

    def now(self) -> float:
        """Return the event loop's time in seconds."""
        return self.loop.time()

    @property
    def commands_per_sweep(self) -> int:
        """Maximum number of commands in `sweep_s` seconds, above which a session is throttled."""
        return int(self.limits.commands_a_second * self.limits.sweep_s)
