"""Waterfalls of a run: each time's terms (parts) beside those of theory, and a transaction's exchanges over time."""
