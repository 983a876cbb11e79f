"""FTP client on Python's ftplib, and SFTP client and server on asyncssh: implementations independent of lab7."""

from pathlib import Path

PEERS = Path(__file__).resolve().parent
