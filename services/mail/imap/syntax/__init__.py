"""IMAP formal syntax: framing, argument parsing, sequence sets and response encoding (RFC 3501 section 9)."""
