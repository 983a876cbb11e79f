"""IMAP commands by session state (RFC 9051 section 6)."""
