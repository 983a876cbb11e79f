"""Every bound of the store, named once, each with its source."""

# What one name may have on ext4, xfs and btrfs (NAME_MAX).
FILE_NAME_OCTETS = 255

# Letters that stand for keywords in a file's name: a to z, as in Dovecot's Maildirs.
KEYWORDS_MAX = 26

# A keyword's length; no client in use comes near it, and 26 of them fit in any answer.
KEYWORD_OCTETS = 128

# How deep folders may be nested; Dovecot's mailbox_list_max_depth is of this order, and FILE_NAME_OCTETS bounds it too.
FOLDER_DEPTH = 32

# Folders of one user; Dovecot has no limit, Cyrus suggests thousands.
FOLDERS_MAX = 10_000

# Subscribed names of one user, which may name folders that do not exist (RFC 3501 section 6.3.6).
SUBSCRIPTIONS_MAX = 10_000

# How often a directory that changes while it is listed is listed again before what was seen is taken.
SCANS_MAX = 5

# A directory's time is coarse (a tick of the kernel, 1 to 10 ms): what it says is trusted when it is as old as this.
SETTLED_S = 0.1

# The index is written anew when this many of its lines, and more than half, are of messages that are gone.
DEAD_LINES_MAX = 1000

# Maildir++: when the file of sums has this size, it is summed up again.
SUMS_OCTETS = 5120

# Maildir++: sums that say "full" are not believed when they are older than this (15 minutes in the specification).
SUMS_AGE_S = 900.0

# https://cr.yp.to/proto/maildir.html: what lies in tmp/ for 36 hours belongs to nobody.
ABANDONED_S = 36 * 3600.0

# Read at a time where only a message's header is wanted; most headers are smaller.
HEADER_PIECE_OCTETS = 16_384

# What a reader takes into memory of one message; the store takes no larger one.
MESSAGE_OCTETS = 256 * 1024 * 1024
