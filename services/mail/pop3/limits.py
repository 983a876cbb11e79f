"""Limits of a POP3 session, each with its source."""

# RFC 2449 section 4: 255 octets including CRLF; AUTH may need more (RFC 5034 section 4: 12288).
LINE_OCTETS = 12_288

# Octets a client may send ahead (PIPELINING) while a command runs.
PIPELINE_OCTETS = 65_536

# Consecutive syntax errors before the session ends; the same as for SMTP in Postfix.
BAD_COMMANDS_MAX = 20

# Failed logins per connection.
FAILED_LOGINS_MAX = 5

# Size of the pieces in which a message is sent.
SEND_OCTETS = 65_536
