"""Experiments on the web cache (RFC 9111): a caching proxy, an access link, the conformance matrix."""
