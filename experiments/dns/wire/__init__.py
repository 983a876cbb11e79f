"""Parsers of DNS packets in captures: messages, and queries matched with their responses."""
