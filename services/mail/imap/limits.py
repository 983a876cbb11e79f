"""Every bound of an IMAP session, named once, each with its source."""

# One line of a command, literals not counted. Dovecot's imap_max_line_length is 64 KiB.
LINE_OCTETS = 65_536

# All literals of one command but a message to APPEND; as for a line.
LITERAL_OCTETS = 65_536

# A literal before log-in; RFC 7888 section 5 has 4096 as what a LITERAL- client may send unasked.
EARLY_LITERAL_OCTETS = 4096

# A message to APPEND; Postfix's message_size_limit is 10 MB, Gmail takes 35 MB, and MIME makes a third more of it.
MESSAGE_OCTETS = 64 * 1024 * 1024

# What a client may have sent ahead while a command is under way; the shell does not read more then.
PIPELINE_OCTETS = 65_536

# RFC 3501 section 9: number is of 32 bits.
NUMBER_MAX = 4_294_967_295

# Commands in a row that cannot be read, before a session ends; Dovecot ends it after 20.
BAD_COMMANDS_MAX = 20

# Log-ins that fail on one connection, before it ends; RFC 3501 section 11.2 wants guessing made slow.
FAILED_LOGINS_MAX = 5

# How deep keys of SEARCH are nested in parentheses, NOT and OR.
SEARCH_DEPTH_MAX = 100

# Keys of one SEARCH: a line of 64 KiB has no more.
SEARCH_KEYS_MAX = 10_000

# RFC 2971 section 3.3: 30 pairs, fields of 30 and values of 1024 octets.
ID_PAIRS_MAX = 30

# Keys of one SEARCH that read whole messages, each anew: a person's search has one or two.
SEARCH_TEXTS_MAX = 32

# A pattern of LIST; no name is longer.
PATTERN_OCTETS = 1024

# Messages that are looked at before other sessions get their turn.
TURN_MESSAGES = 50

# Octets of messages that a session keeps, so that a large one in pieces is read once.
CACHE_OCTETS = 16 * 1024 * 1024
