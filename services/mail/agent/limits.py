"""Limits of the mail user agent, each with its source."""

# Recipients of one message, as Postfix accepts (smtpd_recipient_limit).
RECIPIENTS_MAX = 1_000

# One unfolded header field as typed; RFC 5322 section 2.1.1 limits the folded lines to 998.
TEXT_OCTETS = 10_000

# RFC 5322 section 2.1.1: maximum and recommended line length, without CRLF.
LINE_OCTETS = 998
LINE_OCTETS_WANTED = 78

# Attachments of one message; far below the 10,000 MIME parts that readers parse.
ATTACHMENTS_MAX = 100

# Size of an encoded message; servers advertise their own limit with SIZE, Postfix's default is 10 MB.
MESSAGE_OCTETS = 64 * 1024 * 1024

# Message-IDs in References; RFC 5322 section 3.6.4 has no limit. The first and the latest are kept.
REFERENCES_MAX = 20

# One line of a POP3 response: RFC 5322 limits none that servers keep to; poplib's own limit is 2,048.
POP3_LINE_OCTETS = MESSAGE_OCTETS

# Time-out for each server response: shorter than RFC 5321 section 4.5.3.2 (5 minutes), for an interactive program.
TIMEOUT_S = 60.0

# Messages listed by `list`.
LISTED_MAX = 10_000
