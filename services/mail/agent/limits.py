"""Every bound of the user agent, named once, each with its source."""

# Recipients of one message; what Postfix takes (smtpd_recipient_limit).
RECIPIENTS_MAX = 1_000

# One line of a header that somebody types; RFC 5322 section 2.1.1 has 998 for a line on the wire, and folds it.
TEXT_OCTETS = 10_000

# RFC 5322 section 2.1.1, CRLF not counted: a line of a message, and what it should be.
LINE_OCTETS = 998
LINE_OCTETS_WANTED = 78

# Attachments of one message; far below the 10,000 parts that readers look at.
ATTACHMENTS_MAX = 100

# What one name may have on ext4, xfs and btrfs (NAME_MAX).
FILE_NAME_OCTETS = 255

# All of a message before it is sent: the server says with SIZE what it takes, Postfix's default is 10 MB.
MESSAGE_OCTETS = 64 * 1024 * 1024

# References that a reply carries on: RFC 5322 section 3.6.4 has no bound; the first and the last ones are kept.
REFERENCES_MAX = 20

# How long a server may be silent. RFC 5321 section 4.5.3.2 has 5 minutes; somebody waits at the terminal.
TIMEOUT_S = 60.0

# Messages that `list` shows of one mailbox.
LISTED_MAX = 10_000
