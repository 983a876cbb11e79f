"""Fidelity certificate of a run: probes of emulated paths, and the machine's disturbance of samples in real time."""

# First: scapy is imported by the modules of this package.
from experiments.harness.judge import scapy_setup  # noqa: F401
