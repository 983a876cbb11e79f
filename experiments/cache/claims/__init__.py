"""Decisions of the claims W1 to W8 on HTTP caching, from packets on both sides of a proxy."""
