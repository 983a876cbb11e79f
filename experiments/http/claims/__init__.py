"""Decisions of claims H1 to H14 and K1 to K3 (statements of the course) on HTTP, from captured messages."""
