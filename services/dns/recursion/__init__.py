"""The recursive resolver: iterator, caches and query budget (RFC 1034 section 5.3.3)."""
