"""DMARC (Domain-based Message Authentication, Reporting, and Conformance): From-field policies (RFC 7489, RFC 9989)."""
