"""Assignments of the kind `predict`: numbers are committed before lab7 measures them."""
