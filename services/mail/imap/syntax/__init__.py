"""Parser and encoder of IMAP's formal syntax: framing, arguments, sequence sets, responses (RFC 3501 section 9)."""
