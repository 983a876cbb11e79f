"""Every bound of webmail, named once, each with its source."""

# Sessions at once, and of one user; each takes some hundred octets. A user has a few browsers.
SESSIONS_MAX = 2_000
SESSIONS_OF_USER_MAX = 20

# A session ends when it is not used for so long, and in any case after so long: OWASP's Session Management Cheat Sheet
# has 15 to 30 minutes and 4 to 8 hours for what people sit in front of all day.
IDLE_S = 30 * 60.0
SESSION_S = 8 * 3600.0

# A token of 256 bits; the same cheat sheet asks for 64 at least.
TOKEN_OCTETS = 32

# Log-ins that fail, from one address and for one user, in so long; Dovecot slows down after the first,
# NIST SP 800-63B section 5.2.2 allows 100 in a row.
FAILURES_OF_PEER_MAX = 20
FAILURES_OF_USER_MAX = 50
FAILURES_S = 300.0
# Addresses and users that are remembered for it.
GUESSERS_MAX = 10_000

# A name and a password; longer ones are nobody's.
NAME_CHARACTERS = 320
PASSWORD_CHARACTERS = 1024

# Passwords that are checked at once: scrypt takes 16 MiB each.
CHECKS_MAX = 8

# A form without files, and one with them: what the server takes of one message (Postfix: 10,240,000 octets), which in
# base64 is a third more, and the text.
FORM_OCTETS = 256 * 1024
LETTER_OCTETS = 16 * 1024 * 1024
# Of somebody who is not logged in.
STRANGER_OCTETS = 16 * 1024
# All content that is being received, in memory.
HELD_OCTETS = 256 * 1024 * 1024

# Messages on one page; most webmails show 20 to 100.
PAGE_MESSAGES = 50
# Messages whose header a search reads, the newest first, and how many before other visitors get their turn.
SEARCHED_MAX = 5_000
TURN_MESSAGES = 50
SEARCH_CHARACTERS = 200

# Folders that the side of a page lists, and of how many it counts the messages.
FOLDERS_SHOWN_MAX = 500
FOLDERS_COUNTED_MAX = 50

# A message that is taken apart for a page; a larger one is downloaded. The MTA takes 10,240,000 octets.
SHOWN_OCTETS = 32 * 1024 * 1024
# Of its source, on a page.
SOURCE_CHARACTERS = 1_000_000
# Text in which links are looked for.
LINKED_CHARACTERS = 100_000

# HTML that is cleaned: the time grows with the square of how deep elements lie in each other, 0.4 s for so many.
HTML_CHARACTERS = 2_000_000
HTML_TAGS_MAX = 10_000
STYLE_CHARACTERS = 2_000

# Pictures that a page shows below a text.
PICTURES_MAX = 30

# Text that a reply quotes; a person cuts it anyway.
QUOTED_CHARACTERS = 100_000

# Servers that take a message answer within this, or the writer is told; RFC 5321 section 4.5.3.2 allows for minutes,
# in which nobody looks at a page.
SEND_S = 60.0
CONNECT_S = 20.0
