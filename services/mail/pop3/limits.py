"""Every bound of a POP3 session, named once, each with its source."""

# RFC 2449 section 4: 255 octets with the line's end; AUTH may need more (RFC 5034 section 4: 12288).
LINE_OCTETS = 12_288

# What a client may have sent ahead (PIPELINING) while a command is under way.
PIPELINE_OCTETS = 65_536

# Commands in a row that cannot be read, before a session ends; as for SMTP in Postfix.
BAD_COMMANDS_MAX = 20

# Log-ins that fail on one connection, before it ends.
FAILED_LOGINS_MAX = 5

# Octets of a message that are sent at a time.
PIECE_OCTETS = 65_536
