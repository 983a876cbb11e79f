"""Checks of course claims W1 to W8 on HTTP caching, decided from packets captured on both sides of a caching proxy."""
