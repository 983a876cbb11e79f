"""Domain-based Message Authentication, Reporting, and Conformance: policies for the From field (RFC 7489, RFC 9989)."""
