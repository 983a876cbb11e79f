"""Program assignment: a shared caching proxy between a client and an origin (RFC 9111, RFC 9110 section 7.6)."""
