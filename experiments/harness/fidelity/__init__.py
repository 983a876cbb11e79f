"""Fidelity certificate of a run: measured against configured path properties, and delays by other load."""
