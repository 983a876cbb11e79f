"""Captures of a caching proxy: both legs of a request, the use of a link."""

# First: scapy is imported by the modules of this package.
from experiments.harness.judge import scapy_setup  # noqa: F401
