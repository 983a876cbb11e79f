"""Conformance checks of HTTP caches (RFC 9111): scripted client, scripted origin, scenarios, expectations."""
