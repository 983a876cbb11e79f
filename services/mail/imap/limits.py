"""Limits of an IMAP session, each with its source."""

# One command line, literals not counted. Dovecot's imap_max_line_length is 64 KiB.
LINE_OCTETS = 65_536

# Total of the literals of one command, except a message to APPEND; the same limit as for a line.
LITERAL_OCTETS = 65_536

# A literal before authentication; RFC 7888 section 5: a LITERAL- client may send 4096 octets without waiting.
EARLY_LITERAL_OCTETS = 4096

# A message to APPEND; Postfix's message_size_limit is 10 MB, Gmail accepts 35 MB, and base64 adds a third.
MESSAGE_OCTETS = 64 * 1024 * 1024

# Octets a client may send ahead while a command runs; beyond them the connection stops reading.
PIPELINE_OCTETS = 65_536

# RFC 3501 section 9: number is of 32 bits.
NUMBER_MAX = 4_294_967_295

# Consecutive syntax errors before the session ends; Dovecot allows 20.
BAD_COMMANDS_MAX = 20

# Failed logins per connection; RFC 3501 section 11.2 recommends protection against guessing.
FAILED_LOGINS_MAX = 5

# Nesting depth of SEARCH keys in parentheses, NOT and OR.
SEARCH_DEPTH_MAX = 100

# Keys of one SEARCH; a line of 64 KiB holds no more.
SEARCH_KEYS_MAX = 10_000

# RFC 2971 section 3.3: at most 30 field-value pairs.
ID_PAIRS_MAX = 30

# Keys of one SEARCH that read whole messages, each of them again; typical searches have one or two.
SEARCH_TEXTS_MAX = 32

# A LIST pattern; no mailbox name is longer.
PATTERN_OCTETS = 1024

# Patterns of one LIST command (RFC 5258); clients send two or three.
PATTERNS_MAX = 32

# Messages handled before other sessions are scheduled.
TURN_MESSAGES = 50

# Largest message that a session caches, so that a partial FETCH in pieces reads it once.
CACHE_OCTETS = 16 * 1024 * 1024
