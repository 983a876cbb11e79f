"""FTP and SFTP clients independent of lab7: ftplib and asyncssh."""

from pathlib import Path

PEERS = Path(__file__).resolve().parent
