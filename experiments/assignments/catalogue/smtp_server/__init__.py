"""Program assignment smtp-server: an SMTP relay, written by the student, that sends mail to its next hop (RFC 5321)."""
