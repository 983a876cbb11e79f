"""Independent mail client for tests of mail servers, on Python's smtplib, poplib and imaplib."""

from pathlib import Path

PEERS = Path(__file__).resolve().parent
