"""Limits of webmail, each with its source."""

# Concurrent sessions, in total and per user; each costs a few hundred octets.
SESSIONS_MAX = 2_000
SESSIONS_OF_USER_MAX = 20

# Idle and absolute session time-outs: OWASP's Session Management Cheat Sheet recommends 15 to 30 minutes, and 4 to 8
# hours for applications used all day.
IDLE_S = 30 * 60.0
SESSION_S = 8 * 3600.0

# 256-bit tokens; the same cheat sheet requires at least 64 bits of entropy.
TOKEN_OCTETS = 32

# Failed logins per client address and per user within the window; Dovecot delays after the first,
# NIST SP 800-63B section 5.2.2 allows 100 in a row.
FAILURES_OF_PEER_MAX = 20
FAILURES_OF_USER_MAX = 50
FAILURES_S = 300.0
# Addresses and users with recorded failures.
THROTTLE_KEYS_MAX = 10_000

# Length of a user name (RFC 5321: local part, @, domain) and of a password.
NAME_CHARACTERS = 320
PASSWORD_CHARACTERS = 1024

# Concurrent password checks: scrypt takes 16 MiB each.
CHECKS_MAX = 8

# Size of a form without files, and of one with files: one message as the server accepts it (Postfix: 10,240,000
# octets), a third more for base64, and the text.
FORM_OCTETS = 256 * 1024
MESSAGE_FORM_OCTETS = 16 * 1024 * 1024
# Size of the login form, which needs no session.
LOGIN_FORM_OCTETS = 16 * 1024
# Request content buffered in memory, over all requests.
BUFFERED_OCTETS = 256 * 1024 * 1024

# Messages per page; most webmails show 20 to 100.
PAGE_MESSAGES = 50
# Headers read by one search, newest first, and messages searched before other requests are scheduled.
SEARCH_MESSAGES_MAX = 5_000
BATCH_MESSAGES = 50
SEARCH_CHARACTERS = 200

# Folders listed in the sidebar, and those with a count of unread messages.
FOLDERS_SHOWN_MAX = 500
FOLDERS_COUNTED_MAX = 50

# Largest message parsed for a page; larger ones must be downloaded. The MTA accepts 10,240,000 octets.
PARSED_OCTETS = 32 * 1024 * 1024
# Characters of source on a page.
SOURCE_CHARACTERS = 1_000_000
# Length of text in which links are recognised.
LINKED_CHARACTERS = 100_000

# Sanitised HTML: the time is quadratic in the nesting depth, 0.4 s for this many tags.
HTML_CHARACTERS = 2_000_000
HTML_TAGS_MAX = 10_000
STYLE_CHARACTERS = 2_000

# Pictures displayed below the text.
PICTURES_MAX = 30

# Length of quoted text in a reply.
QUOTED_CHARACTERS = 100_000

# Time-out for submission: RFC 5321 section 4.5.3.2 allows minutes, too long for an HTTP response.
SEND_S = 60.0
CONNECT_S = 20.0
