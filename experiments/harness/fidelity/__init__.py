"""Fidelity certificate of a run: checks of the emulated delay, rate and loss, and of other load on the machine."""
