"""Verdicts on course claims D1 to D15 (DNS) and V1 to V3 (DNSSEC), from captured queries and responses.

A claim is a statement of the course. A verdict is shown, failed or undecided, with evidence and frame numbers.
"""
