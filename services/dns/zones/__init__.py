"""Authoritative zones: loading, lookup (RFC 1034 section 4.3.2), request handler and zone transfer."""
