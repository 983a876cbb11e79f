"""Decisions of the claims C1 to C8 on content delivery networks, from captured packets."""
