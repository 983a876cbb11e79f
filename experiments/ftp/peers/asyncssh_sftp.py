"""SFTP server and client program that uses the library asyncssh, for machines without OpenSSH.

    asyncssh_sftp.py serve ADDRESS PORT USER PASSWORD ROOT
    asyncssh_sftp.py get HOST PORT USER PASSWORD NAME INTO

ROOT is the folder to serve; `get` writes the file NAME of the server to the path INTO.
"""

from __future__ import annotations

import asyncio
import sys
from secrets import compare_digest
from typing import Any

import asyncssh

TIMEOUT_S = 30.0


class Login(asyncssh.SSHServer):
    """Password authentication of one user in an asyncssh server."""

    def __init__(self, user: str, password: str) -> None:
        self._known = (user, password)

    def password_auth_supported(self) -> bool:
        """Return True: the server offers password authentication."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """Return True if user name and password are the configured ones."""
        return compare_digest("\0".join((username, password)).encode(), "\0".join(self._known).encode())


async def serve(address: str, port: str, user: str, password: str, root: str) -> None:
    """Serve the files below `root` by SFTP until the process is stopped."""

    def files(channel: Any) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=root.encode())

    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(
        lambda: Login(user, password), address, int(port), server_host_keys=[key], sftp_factory=files
    )
    await server.wait_closed()


async def get(host: str, port: str, user: str, password: str, name: str, into: str) -> None:
    """Fetch one file by SFTP and write the content to the path `into`."""
    async with asyncio.timeout(TIMEOUT_S):
        connecting = asyncssh.connect(
            host, int(port), username=user, password=password, known_hosts=None, client_keys=None, config=None
        )
        async with connecting as connection, connection.start_sftp_client() as sftp:
            await sftp.get(name, into)


def main(argv: list[str]) -> int:
    """Run the SFTP server or client, according to the first argument."""
    what, *words = argv
    asyncio.run(serve(*words) if what == "serve" else get(*words))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
