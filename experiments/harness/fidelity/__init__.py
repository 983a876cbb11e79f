"""Fidelity certificate of a run: measured path properties, and delays that other load of the machine added."""
