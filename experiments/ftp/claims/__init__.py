"""Verdicts on claims F1 to F9 of the course, which are about FTP, from captured control and data connections.

A claim is a statement of the course. A verdict is shown, failed or undecided, with evidence and frame numbers.
"""
