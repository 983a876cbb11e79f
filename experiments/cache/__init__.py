"""Experiments on web caches (RFC 9111): time and traffic saved by a caching proxy, freshness, and cache conformance."""
