"""Parsers of captures for DNS: messages, and queries matched with their responses."""
