"""Verdicts on course claims F1 to F9 about FTP, from captured control and data connections.

A claim is a statement of the course. A verdict is shown, failed or undecided, with evidence and frame numbers.
"""
