"""Size and count limits of a POP3 session, each explained by a comment."""

# RFC 2449 section 4 permits command lines of 255 octets, RFC 5034 section 4 lines of 12,288 in an AUTH exchange.
LINE_OCTETS = 12_288

# Octets of buffered input above which the connection stops reading while a command runs (PIPELINING).
PIPELINE_OCTETS = 65_536

# Maximum number of consecutive syntax errors, after which the session ends, as in Postfix's SMTP server.
BAD_COMMANDS_MAX = 20

# Maximum number of failed logins, after which the session ends.
FAILED_LOGINS_MAX = 5

# Octets of a message sent at a time, after which other sessions run.
SEND_OCTETS = 65_536

# Number of messages whose sizes are read before other sessions run.
TURN_MESSAGES = 50
