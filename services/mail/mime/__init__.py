"""MIME parser: message structure and header fields for IMAP FETCH and SEARCH (RFC 5322, RFC 2045 to 2047, 2183, 2231).

Pure functions of octets with CRLF line ends. Malformed input is parsed as far as possible, and no input raises an
exception. All depths and counts are limited: the cost of a hostile message is linear in its length.
"""
