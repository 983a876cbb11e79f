"""Parsers of captures at a caching proxy: connections from clients, connections to the origin, and octets on a link."""
