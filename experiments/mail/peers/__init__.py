"""Mail client independent of lab7: the standard library's smtplib, poplib and imaplib."""

from pathlib import Path

PEERS = Path(__file__).resolve().parent
