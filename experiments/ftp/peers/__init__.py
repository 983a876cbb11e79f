"""FTP and SFTP clients that are not lab7's: ftplib and asyncssh."""

from pathlib import Path

PEERS = Path(__file__).resolve().parent
