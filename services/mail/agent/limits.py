"""Limits of the mail user agent, each with its source."""

# A message may have this many recipients, as in Postfix (smtpd_recipient_limit).
RECIPIENTS_MAX = 1_000

# A header field may have this many octets before folding; no RFC limits the length of an unfolded field.
TEXT_OCTETS = 10_000

# RFC 5322 section 2.1.1: a line must have at most 998 octets and should have at most 78, without CRLF.
LINE_OCTETS = 998
LINE_OCTETS_WANTED = 78

# A message may have this many attachments, far below the limit of 10,000 MIME parts in Dovecot.
ATTACHMENTS_MAX = 100

# An encoded message may have this many octets; servers advertise lower limits with SIZE (Postfix: 10 MB).
MESSAGE_OCTETS = 64 * 1024 * 1024

# The References field keeps the first and the latest Message-IDs; RFC 5322 section 3.6.4 has no limit.
REFERENCES_MAX = 20

# A line of a POP3 response may be as long as a message, since servers deliver lines longer than poplib's 2,048 octets.
POP3_LINE_OCTETS = MESSAGE_OCTETS

# Each server response must arrive in this time, shorter than RFC 5321 section 4.5.3.2 (5 minutes): a user is waiting.
TIMEOUT_S = 60.0

# The action `list` prints the first messages of a mailbox, up to this number.
LISTED_MAX = 10_000
