"""HTTP/1 and HTTP/2 messages and page loads parsed from captures."""

# First: scapy is imported by the modules of this package.
from experiments.harness.judge import scapy_setup  # noqa: F401
