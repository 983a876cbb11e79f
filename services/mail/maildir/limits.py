"""Limits of the mailbox store, each with its source."""

# A file name may have 255 octets, NAME_MAX of ext4, xfs and btrfs.
FILE_NAME_OCTETS = 255

# A folder may have 26 keywords, for the letters a to z in file names, as in Dovecot's Maildirs.
KEYWORDS_MAX = 26

# A keyword may have this many octets, more than common clients use; 26 such keywords fit in a response line.
KEYWORD_OCTETS = 128

# Folders may be nested this deep; FILE_NAME_OCTETS limits the whole path as well.
FOLDER_DEPTH = 32

# A user may have this many folders.
FOLDERS_MAX = 10_000

# A user may subscribe to this many names, also of folders that do not exist (RFC 3501 section 6.3.6).
SUBSCRIPTIONS_MAX = 10_000

# Maximum number of scans of a directory that changes while it is scanned.
SCANS_MAX = 5

# A directory's mtime proves "unchanged" only from this age on, since mtimes are coarse (a kernel tick, 1 to 10 ms).
SETTLED_S = 0.1

# The UID index is compacted when lines of removed messages are more than this and more than half of all.
DEAD_LINES_MAX = 1000

# Maildir++: the sums in maildirsize are recalculated when the file has this many octets.
SUMS_OCTETS = 5120

# Maildir++: before an "over quota" the sums are recalculated if maildirsize is older than this (15 minutes).
SUMS_AGE_S = 900.0

# Files in tmp/ older than 36 hours are removed, as https://cr.yp.to/proto/maildir.html specifies.
ABANDONED_S = 36 * 3600.0

# Headers are read in pieces of this size, larger than most headers.
HEADER_PIECE_OCTETS = 16_384

# A message may have this many octets, because readers load whole messages into memory.
MESSAGE_OCTETS = 256 * 1024 * 1024

# The file of mod-sequences is compacted when it has more lines than this and most are superseded.
MOD_SEQUENCE_LINES_MAX = 2000

# The file of mod-sequences keeps this many removals, so that clients that were away for long resynchronise quickly.
VANISHED_MAX = 1000

# An operation on a folder yields after this many messages or files, so that other sessions wait milliseconds.
STEP_MESSAGES = 2000
TURN_FILES = 50

# The UID index is read in pieces of this size, for the same reason.
INDEX_PIECE_OCTETS = 262_144

# A refresh in steps starts again this often if other sessions change the folder meanwhile.
REFRESHES_MAX = 5
