"""SMTP, POP3 and IMAP sessions parsed from captures."""

# First: scapy is imported by the modules of this package.
from experiments.harness.judge import scapy_setup  # noqa: F401
