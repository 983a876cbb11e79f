"""Size and count limits of the mail user agent (recipients, attachments, lines), each explained by a comment."""

# Maximum number of recipients of a message, as in Postfix (smtpd_recipient_limit).
RECIPIENTS_MAX = 1_000

# Maximum octets of a header field before folding; no RFC limits the length of an unfolded field.
TEXT_OCTETS = 10_000

# RFC 5322 section 2.1.1: a line must have at most 998 octets and should have at most 78, without CRLF.
LINE_OCTETS = 998
LINE_OCTETS_WANTED = 78

# Maximum number of attachments of a message, far below Dovecot's limit of 10,000 MIME parts.
ATTACHMENTS_MAX = 100

# Maximum octets of an encoded message; servers advertise lower limits with SIZE (Postfix: 10 MB).
MESSAGE_OCTETS = 64 * 1024 * 1024

# Maximum Message-IDs in References: the first and the latest are kept; RFC 5322 section 3.6.4 has no limit.
REFERENCES_MAX = 20

# Maximum octets of a POP3 response line: servers deliver lines longer than poplib's 2,048 octets.
POP3_LINE_OCTETS = MESSAGE_OCTETS

# Seconds to wait for a server response, less than RFC 5321 section 4.5.3.2 (5 minutes), because a user is waiting.
TIMEOUT_S = 60.0

# Maximum number of messages that the action `list` prints, from the first of the mailbox on.
LISTED_MAX = 10_000
