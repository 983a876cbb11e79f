"""HTTP/1.0 and HTTP/1.1 messages and connections, sans-IO (RFC 9112)."""
