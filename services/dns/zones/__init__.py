"""Authoritative zones: loading, lookup, transfer and the response cache (RFC 1034 section 4.3.2)."""
