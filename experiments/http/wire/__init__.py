"""Parsers of captures for HTTP/1 and HTTP/2: messages, exchanges and page loads."""
