"""Differences between two runs: settings, claims, times by term, messages (`lab7 diff`)."""
