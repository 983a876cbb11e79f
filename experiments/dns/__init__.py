"""Experiments on DNS (RFC 1034, RFC 1035): resolution, resource records, caching, and DNSSEC."""
