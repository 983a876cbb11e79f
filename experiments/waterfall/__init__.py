"""Waterfall diagrams for a run's report: terms of each measured time beside theory, and HTTP exchanges over time."""
