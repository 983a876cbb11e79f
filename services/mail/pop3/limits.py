"""Limits of a POP3 session, each with its source."""

# RFC 2449 section 4 permits command lines of 255 octets, RFC 5034 section 4 lines of 12,288 in an AUTH exchange.
LINE_OCTETS = 12_288

# While a command runs, the connection stops reading once it has buffered this many octets (PIPELINING).
PIPELINE_OCTETS = 65_536

# The session ends after this many consecutive syntax errors, as in Postfix's SMTP server.
BAD_COMMANDS_MAX = 20

# The session ends after this many failed logins.
FAILED_LOGINS_MAX = 5

# Messages are sent in pieces of this many octets, between which other sessions run.
SEND_OCTETS = 65_536

# Messages whose sizes are read before other sessions run.
TURN_MESSAGES = 50
