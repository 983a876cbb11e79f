"""Verdicts on course claims W1 to W8 about HTTP caching, from packets captured on both sides of a caching proxy.

A claim is a statement of the course. A verdict is shown, failed or undecided, with evidence and frame numbers.
"""
