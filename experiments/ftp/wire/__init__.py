"""Parsers of captures for FTP: sessions on control connections, and their data connections."""
