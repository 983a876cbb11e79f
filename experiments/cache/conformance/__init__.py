"""Conformance checks of HTTP caches (RFC 9111): a scripted client and origin exchange messages through a cache."""
