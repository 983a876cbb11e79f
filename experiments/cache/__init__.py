"""Experiments on web caches (RFC 9111): a caching proxy, an access link, and a conformance test of HTTP caches."""
