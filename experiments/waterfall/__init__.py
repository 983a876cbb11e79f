"""Waterfall diagrams for a run's report: parts of each measured time beside their predictions, and HTTP exchanges."""
