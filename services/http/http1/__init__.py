"""HTTP/1.0 and HTTP/1.1 message codec and connections, sans-IO (RFC 9112)."""
