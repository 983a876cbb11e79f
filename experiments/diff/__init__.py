"""Comparison of two experiment runs (`lab7 diff`): settings, verdicts on claims, measured times, and messages.

A claim is a statement about a protocol that the packets of a run confirm or contradict.
"""
