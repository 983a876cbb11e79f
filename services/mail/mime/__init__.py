"""The structure of a message (RFC 5322, RFC 2045 to 2047, 2183, 2231), as far as IMAP shows it and searches in it.

Pure functions of octets whose lines end in CRLF. What a message does not say well is read as far as it goes: no octets
raise, and every depth and count is bounded, so that a hostile message costs no more than its length.
"""
