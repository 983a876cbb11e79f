"""FTP and SFTP client programs on the libraries ftplib and asyncssh, as implementations independent of lab7."""

from pathlib import Path

PEERS = Path(__file__).resolve().parent
