"""Decisions of claims W1 to W8 (statements of the course) on HTTP caching, from packets on both sides of a proxy."""
