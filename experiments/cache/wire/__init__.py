"""Parsers of packet captures at a caching proxy: client connections, origin connections, and octets on a link."""
