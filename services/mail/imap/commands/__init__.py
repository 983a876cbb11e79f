"""IMAP command handlers, grouped by session state, and the command table (RFC 3501 section 6)."""
