"""Waterfalls of a run: the terms of each time beside theory's, and the exchanges of a transaction over time."""
