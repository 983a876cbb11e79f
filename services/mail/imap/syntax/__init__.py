"""The IMAP grammar: reader, literals, sequence sets and response formatting (RFC 9051 section 9)."""
