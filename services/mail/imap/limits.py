"""Limits of an IMAP session, each with its source."""

# A command line, literals not counted, may have 64 KiB, as with Dovecot's imap_max_line_length.
LINE_OCTETS = 65_536

# All literals of one command together may have as many octets as a line; messages to APPEND have a separate limit.
LITERAL_OCTETS = 65_536

# Before authentication a literal may have 4096 octets; RFC 7888 section 5 lets LITERAL- clients send so many at once.
EARLY_LITERAL_OCTETS = 4096

# A message to APPEND may have this many octets: more than servers accept by SMTP (Postfix 10 MB, Gmail 35 MB).
MESSAGE_OCTETS = 64 * 1024 * 1024

# While a command runs, the connection stops reading once it has buffered this many octets.
PIPELINE_OCTETS = 65_536

# RFC 3501 section 9: message numbers and UIDs are unsigned 32-bit integers.
NUMBER_MAX = 4_294_967_295

# RFC 7162 section 7: mod-sequences are unsigned 63-bit integers.
MOD_SEQUENCE_MAX = 9_223_372_036_854_775_807

# The session ends after this many consecutive syntax errors, as in Dovecot.
BAD_COMMANDS_MAX = 20

# The session ends after this many failed logins (RFC 3501 section 11.2 recommends protection against guessing).
FAILED_LOGINS_MAX = 5

# SEARCH keys may be nested this deep (parentheses, NOT, OR), since the parser is recursive.
SEARCH_DEPTH_MAX = 100

# One SEARCH may have this many keys; a line of 64 KiB has room for few more.
SEARCH_KEYS_MAX = 10_000

# RFC 2971 section 3.3: an ID command has at most 30 field-value pairs.
ID_PAIRS_MAX = 30

# One SEARCH may have this many BODY and TEXT keys, because each key decodes every message again.
SEARCH_TEXTS_MAX = 32

# A session may have this many searches whose changes are notified (RFC 5267 section 4.3.1); Dovecot has no limit.
SEARCH_CONTEXTS_MAX = 16

# NOTIFY watches this many mailboxes, because each is read several times a second (RFC 5465 section 5.8).
NOTIFIED_MAILBOXES_MAX = 100

# A SORT command may have this many keys; there are nine.
SORT_KEYS_MAX = 32

# THREAD considers this many message identifiers of a References field; RFC 5537 section 3.4.4 keeps at least three.
REFERENCES_MAX = 1000

# A LIST pattern may have this many octets, more than any mailbox name.
PATTERN_OCTETS = 1024

# One LIST command may have this many patterns (RFC 5258); clients send two or three.
PATTERNS_MAX = 32

# A command on many messages yields to other sessions after each batch of this many messages.
TURN_MESSAGES = 50

# A session caches the last message up to this size, so that a FETCH in pieces reads the file once.
CACHE_OCTETS = 16 * 1024 * 1024
