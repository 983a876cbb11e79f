"""Protocol limits of the SMTP server (lines, recipients, errors), each with its source in an RFC or Postfix."""

# RFC 5321 section 4.5.3.1.4: a command line has at most 512 octets, verb and CRLF included.
COMMAND_LINE_OCTETS = 512
# RFC 5321 section 4.1.1.11: extensions lengthen MAIL by parameters, SIZE by 26 octets (RFC 1870 section 3).
# The parameters BODY (RFC 6152 section 2) and AUTH (RFC 4954 section 3) lengthen MAIL by 17 and 500 octets, RET and
# ENVID (RFC 3461 section 3) by 9 and 107, SMTPUTF8 (RFC 6531 section 3.1) by 10.
MAIL_LINE_OCTETS = COMMAND_LINE_OCTETS + 26 + 17 + 500 + 9 + 107 + 10
# RFC 3461 section 3: the parameters NOTIFY and ORCPT lengthen RCPT by 28 and 501 octets (with the keyword: by 507).
RCPT_LINE_OCTETS = COMMAND_LINE_OCTETS + 28 + 507
# RFC 4954 section 4: a base64 line of an AUTH exchange has at most 12,288 octets without CRLF.
AUTH_LINE_OCTETS = 12_288 + 2
# Octets of a line that is discarded as too long, above which the connection is closed.
ENDLESS_LINE_OCTETS = 65_536
# RFC 5321 section 4.5.3.1.6: servers must accept text lines of 1,000 octets, CRLF included.
TEXT_LINE_OCTETS = 1_000
# RFC 5321 section 4.5.3.1.8: servers must accept 100 recipients; Postfix's smtpd_recipient_limit is 1,000.
RECIPIENTS = 1_000
# RFC 5321 section 4.5.3.1.7: servers must accept messages of 64 KB; Postfix's message_size_limit is 10,240,000.
MESSAGE_OCTETS = 10_240_000
# Maximum octets of a header section: room for 1,000 long addresses (Postfix's header_size_limit: 102,400).
HEADER_OCTETS = 393_216
# RFC 5321 section 6.3: a loop is assumed only above 100 Received fields.
HOPS = 100
# Maximum number of unknown or misplaced commands, after which the server closes (Postfix's smtpd_hard_error_limit).
ERRORS = 20
# Maximum number of failed AUTH commands, after which the server closes (RFC 4954 section 4 leaves the number open).
AUTH_FAILURES = 3
