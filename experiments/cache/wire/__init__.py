"""Parsers of captures at a caching proxy: client and origin connections, and the octets on a link."""
