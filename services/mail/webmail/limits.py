"""Size, time and count limits of the webmail server, each explained by a comment."""

# Maximum numbers of sessions, in total and per user; above them the least recently used session ends.
SESSIONS_MAX = 2_000
SESSIONS_OF_USER_MAX = 20

# Sessions end after IDLE_S without a request, and SESSION_S after login (OWASP Session Management Cheat Sheet).
IDLE_S = 30 * 60.0
SESSION_S = 8 * 3600.0

# Session tokens have 256 random bits; OWASP's Session Management Cheat Sheet requires at least 64.
TOKEN_OCTETS = 32

# Maximum numbers of failed logins per client address and per user within FAILURES_S (NIST SP 800-63B: 100).
FAILURES_OF_PEER_MAX = 20
FAILURES_OF_USER_MAX = 50
FAILURES_S = 300.0
# Maximum number of addresses, and of users, for which failed logins are recorded.
THROTTLE_KEYS_MAX = 10_000

# The login form accepts user names (RFC 5321: local part, @, domain) and passwords up to these lengths.
NAME_CHARACTERS = 320
PASSWORD_CHARACTERS = 1024

# Maximum number of passwords checked concurrently, since scrypt takes 16 MiB for each.
CHECKS_MAX = 8

# Maximum sizes of forms, without and with files; the latter allows a message of 10,240,000 octets (Postfix).
FORM_OCTETS = 256 * 1024
MESSAGE_FORM_OCTETS = 16 * 1024 * 1024
# The login form has a lower limit, since it is accepted without a session.
LOGIN_FORM_OCTETS = 16 * 1024
# Maximum memory for the forms of all requests together; further forms get 503.
BUFFERED_OCTETS = 256 * 1024 * 1024

# Number of messages on a page of the message list.
PAGE_MESSAGES = 50
# A search reads at most SEARCH_MESSAGES_MAX headers and yields to other requests every BATCH_MESSAGES.
SEARCH_MESSAGES_MAX = 5_000
BATCH_MESSAGES = 50
SEARCH_CHARACTERS = 200

# The sidebar lists at most FOLDERS_SHOWN_MAX folders, FOLDERS_COUNTED_MAX with their number of unread messages.
FOLDERS_SHOWN_MAX = 500
FOLDERS_COUNTED_MAX = 50

# Maximum size in octets of a displayed message; larger ones get 413. The MTA accepts 10,240,000 octets.
PARSED_OCTETS = 32 * 1024 * 1024
# Maximum number of characters of a message's source on a page.
SOURCE_CHARACTERS = 1_000_000
# Maximum number of characters of a text in which URLs are turned into links.
LINKED_CHARACTERS = 100_000

# HTML beyond these limits is not sanitised: the time is quadratic in the nesting depth (0.4 s for 10,000 tags).
HTML_CHARACTERS = 2_000_000
HTML_TAGS_MAX = 10_000
STYLE_CHARACTERS = 2_000

# Maximum number of attached pictures that are displayed below the text.
PICTURES_MAX = 30

# Maximum number of characters of the original text that a reply quotes.
QUOTED_CHARACTERS = 100_000

# Submission must end in SEND_S: the minutes of RFC 5321 section 4.5.3.2 are too long for an HTTP response.
SEND_S = 60.0
CONNECT_S = 20.0

# Limits of a user's staging area: number of compositions, octets of one composition, octets of all compositions. With
# base64, which adds a third, a draft with the files of a composition still has fewer than PARSED_OCTETS.
COMPOSITIONS_OF_USER_MAX = 20
COMPOSITION_OCTETS_MAX = 20_000_000
STAGED_OCTETS_OF_USER_MAX = 60_000_000
# A composition that was not changed for a week is removed; a message that the user saved stays in Drafts.
STAGED_S = 7 * 86_400.0

# Number of messages for which a session remembers that their remote pictures may be loaded.
PICTURE_MESSAGES_MAX = 100

# Maximum number of refused logins whose form is kept for the page after the redirect.
REFUSED_LOGINS_MAX = 1_000

# A recipient list with more characters is collapsed on the page of a message: about three lines on a phone.
FIELD_SHOWN_CHARACTERS = 160
