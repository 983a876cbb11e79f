"""Parsers of captured FTP traffic: commands and replies on control connections, and the data connections."""
