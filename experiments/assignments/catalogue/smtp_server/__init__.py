"""Program assignment: an SMTP server that relays mail to its next hop (RFC 5321, RFC 6152)."""
