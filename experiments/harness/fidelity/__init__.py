"""The fidelity certificate: probes of emulated paths, and what disturbed samples in real time."""

# First: scapy is imported by the modules of this package.
from experiments.harness.judge import scapy_setup  # noqa: F401
