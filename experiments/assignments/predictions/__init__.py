"""Assignments of the kind `predict`: students commit to predicted numbers before lab7 measures the true values."""
