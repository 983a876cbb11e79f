"""Assignments (kind `predict`) in which students hand in predicted numbers before lab7 measures the true values."""
