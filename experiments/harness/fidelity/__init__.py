"""Fidelity certificate of a run: probes of emulated paths, and the machine's disturbance of measurements."""
