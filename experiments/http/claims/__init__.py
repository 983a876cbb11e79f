"""Verdicts on course claims H1 to H14 and K1 to K3 about HTTP, from captured requests and responses.

A claim is a statement of the course. A verdict is shown, failed or undecided, with evidence and frame numbers.
"""
