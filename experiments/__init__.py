"""Experiments: one question per module, with its topology, workload, claims and theory."""
