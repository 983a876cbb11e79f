"""Parsers of captures at a caching proxy: client connections, origin connections, and the octets on a link."""
