"""IMAP command handlers, one module per command or group of commands, and the command table (RFC 3501 section 6)."""
