"""A mail client that is not lab7's: the standard library's."""

from pathlib import Path

PEERS = Path(__file__).resolve().parent
