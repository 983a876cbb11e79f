"""Limits of the mailbox store, each with its source."""

# NAME_MAX of ext4, xfs and btrfs.
FILE_NAME_OCTETS = 255

# Letters that stand for keywords in a file's name: a to z, as in Dovecot's Maildirs.
KEYWORDS_MAX = 26

# Length of a keyword; longer than those of all common clients; 26 of them fit in any response.
KEYWORD_OCTETS = 128

# Nesting of folders; Dovecot's mailbox_list_max_depth is similar, and FILE_NAME_OCTETS is a limit too.
FOLDER_DEPTH = 32

# Folders of one user; Dovecot has no limit, Cyrus suggests thousands.
FOLDERS_MAX = 10_000

# Subscribed names of one user, which may name folders that do not exist (RFC 3501 section 6.3.6).
SUBSCRIPTIONS_MAX = 10_000

# Rescans of a directory that changes during the scan.
SCANS_MAX = 5

# Age from which a directory's mtime is trusted: its resolution is coarse (a kernel tick, 1 to 10 ms).
SETTLED_S = 0.1

# The UID index is compacted when it has more dead lines than this and than live ones.
DEAD_LINES_MAX = 1000

# Maildir++: recalculate maildirsize at this file size.
SUMS_OCTETS = 5120

# Maildir++: recalculate before "over quota" if the file is older than this (15 minutes in the specification).
SUMS_AGE_S = 900.0

# https://cr.yp.to/proto/maildir.html: files in tmp/ older than 36 hours can be removed.
ABANDONED_S = 36 * 3600.0

# Read size for headers; most headers are smaller.
HEADER_PIECE_OCTETS = 16_384

# Size limit of a message, which readers load into memory.
MESSAGE_OCTETS = 256 * 1024 * 1024
