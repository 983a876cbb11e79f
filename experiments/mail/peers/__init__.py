"""Mail client on Python's smtplib, poplib and imaplib, to test mail servers without lab7's own client."""

from pathlib import Path

PEERS = Path(__file__).resolve().parent
