"""Mail delivery: routing, MX lookup, local and remote delivery, bounces (RFC 5321, RFC 3464)."""
