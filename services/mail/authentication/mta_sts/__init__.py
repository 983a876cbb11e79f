"""SMTP MTA Strict Transport Security: policies of receiving domains on TLS (RFC 8461)."""
