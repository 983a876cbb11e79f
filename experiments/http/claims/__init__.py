"""Decisions of the claims H1 to H14 and K1 to K3 on HTTP, from captured requests and responses."""
