"""Verdicts on course claims C1 to C8 about content delivery networks, from captured DNS and HTTP packets.

A claim is a statement of the course. A verdict is shown, failed or undecided, with evidence and frame numbers.
"""
