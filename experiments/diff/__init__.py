"""Comparison of two experiment runs (`lab7 diff`): settings, verdicts on claims, measured times, and messages."""
