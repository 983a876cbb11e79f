"""Captures of a caching proxy: both legs of a request, the use of a link."""
