"""Limits on the input and resources of an IMAP session, each explained by a comment."""

# Maximum octets of a command line without literals: 64 KiB, as with Dovecot's imap_max_line_length.
LINE_OCTETS = 65_536

# Maximum octets of all literals of one command, the same as for a line; messages to APPEND have a separate limit.
LITERAL_OCTETS = 65_536

# Maximum octets of a literal before authentication: RFC 7888 section 5 lets LITERAL- clients send 4096 at once.
EARLY_LITERAL_OCTETS = 4096

# Maximum octets of a message to APPEND: more than servers accept by SMTP (Postfix 10 MB, Gmail 35 MB).
MESSAGE_OCTETS = 64 * 1024 * 1024

# Octets of buffered input above which the connection stops reading while a command runs.
PIPELINE_OCTETS = 65_536

# RFC 3501 section 9: message numbers and UIDs are unsigned 32-bit integers.
NUMBER_MAX = 4_294_967_295

# RFC 7162 section 7 and RFC 9051 section 9: mod-sequences, and sizes in octets, are unsigned 63-bit integers.
NUMBER64_MAX = 9_223_372_036_854_775_807

# Maximum number of consecutive syntax errors, after which the session ends, as in Dovecot.
BAD_COMMANDS_MAX = 20

# Maximum number of failed logins, after which the session ends (RFC 3501 section 11.2: protection against guessing).
FAILED_LOGINS_MAX = 5

# Maximum nesting depth of SEARCH keys (parentheses, NOT, OR), since the parser is recursive.
SEARCH_DEPTH_MAX = 100

# Maximum number of keys of one SEARCH; a line of 64 KiB has room for few more.
SEARCH_KEYS_MAX = 10_000

# RFC 2971 section 3.3: an ID command has at most 30 field-value pairs.
ID_PAIRS_MAX = 30

# Maximum number of BODY and TEXT keys of one SEARCH, because each key decodes every message again.
SEARCH_TEXTS_MAX = 32

# Maximum number of searches per session whose changes are notified (RFC 5267 section 4.3.1); Dovecot has no limit.
SEARCH_CONTEXTS_MAX = 16

# Maximum number of mailboxes that NOTIFY watches, since each is read several times a second (RFC 5465 section 5.8).
NOTIFIED_MAILBOXES_MAX = 100

# Maximum number of keys of a SORT command; there are nine different keys.
SORT_KEYS_MAX = 32

# Maximum Message-IDs of a References field that THREAD considers; RFC 5537 section 3.4.4 keeps at least three.
REFERENCES_MAX = 1000

# Maximum octets of a LIST pattern, more than any mailbox name has.
PATTERN_OCTETS = 1024

# Maximum number of patterns of one LIST command (RFC 5258); clients send two or three.
PATTERNS_MAX = 32

# Number of messages after which a command yields to other sessions.
TURN_MESSAGES = 50

# Maximum octets of the message that a session caches, so that a FETCH in pieces reads its file once.
CACHE_OCTETS = 16 * 1024 * 1024
