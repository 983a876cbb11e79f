"""Limits of the SMTP server, each with its source."""

# RFC 5321 section 4.5.3.1.4: verb and CRLF counted.
COMMAND_LINE_OCTETS = 512
# Section 4.1.1.11 and what the extensions add to MAIL: SIZE 26 (RFC 1870 section 3), BODY 17 (RFC 6152 section 2), AUTH
# 500 (RFC 4954 section 3).
MAIL_LINE_OCTETS = COMMAND_LINE_OCTETS + 26 + 17 + 500
# RFC 4954 section 4: base64 lines of an AUTH exchange, and the CRLF.
AUTH_LINE_OCTETS = 12_288 + 2
# An endless line is discarded as it is received; beyond this many octets the connection is closed.
ENDLESS_LINE_OCTETS = 65_536
# RFC 5321 section 4.5.3.1.6, CRLF counted.
TEXT_LINE_OCTETS = 1_000
# Section 4.5.3.1.8 requires at least 100; Postfix's smtpd_recipient_limit is 1,000.
RECIPIENTS = 1_000
# Section 4.5.3.1.7 requires at least 64 K; this is Postfix's message_size_limit.
MESSAGE_OCTETS = 10_240_000
# Postfix's header_size_limit is 102,400; this leaves room for a thousand addresses of maximum length.
HEADER_OCTETS = 393_216
# RFC 5321 section 6.3: at least 100.
HOPS = 100
# Postfix's smtpd_hard_error_limit: unknown or misplaced commands before the server closes.
ERRORS = 20
# RFC 4954 section 4 leaves the number of tries to the server.
AUTH_FAILURES = 3
