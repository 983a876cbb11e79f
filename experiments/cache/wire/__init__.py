"""Captures of a caching proxy: both legs of a request, and the octets on a link."""
