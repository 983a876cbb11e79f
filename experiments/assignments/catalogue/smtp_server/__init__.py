"""Assignment smtp-server, in which students write an SMTP relay, which sends mail to its next hop (RFC 5321)."""
