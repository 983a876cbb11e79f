"""Decisions of the claims (statements of the course) C1 to C8 on content delivery networks, from captured packets."""
