"""Size, count and time limits of the Maildir store, each explained by a comment."""

# Maximum octets of a file name: NAME_MAX of ext4, xfs and btrfs.
FILE_NAME_OCTETS = 255

# Maximum number of keywords of a folder: the letters a to z in file names, as in Dovecot's Maildirs.
KEYWORDS_MAX = 26

# Maximum octets of a keyword, more than common clients use; 26 of this length fit in a response line.
KEYWORD_OCTETS = 128

# Maximum nesting depth of folders; FILE_NAME_OCTETS limits the whole path as well.
FOLDER_DEPTH = 32

# Maximum number of folders of a user.
FOLDERS_MAX = 10_000

# Maximum number of names to which a user subscribes, also of missing folders (RFC 3501 section 6.3.6).
SUBSCRIPTIONS_MAX = 10_000

# Maximum number of scans of a directory that changes while it is scanned.
SCANS_MAX = 5

# Minimum age in seconds from which an unchanged mtime proves a directory unchanged: mtimes are coarse (1 to 10 ms).
SETTLED_S = 0.1

# Number of lines of removed messages above which the UID index is compacted, if they are more than half of all lines.
DEAD_LINES_MAX = 1000

# Octets of maildirsize from which its sums are recalculated, by the Maildir++ specification.
SUMS_OCTETS = 5120

# Age of maildirsize in seconds from which its sums are recalculated before a refusal "over quota" (Maildir++).
SUMS_AGE_S = 900.0

# Files in tmp/ older than 36 hours are removed, as https://cr.yp.to/proto/maildir.html specifies.
ABANDONED_S = 36 * 3600.0

# Octets per read of a header, larger than most headers.
HEADER_PIECE_OCTETS = 16_384

# Maximum octets of a message, because readers load whole messages into memory.
MESSAGE_OCTETS = 256 * 1024 * 1024

# Number of lines at which the file of mod-sequences is compacted; the next time at twice the lines that are left.
MOD_SEQUENCE_LINES_MAX = 2000

# Number of removals kept in the file of mod-sequences, so that clients resynchronise quickly after a long absence.
VANISHED_MAX = 1000

# Number of messages or files after which an operation on a folder yields, so that other sessions wait milliseconds.
STEP_MESSAGES = 2000
TURN_FILES = 50

# Octets per read of the UID index, after which other sessions run.
INDEX_PIECE_OCTETS = 262_144

# Maximum restarts of a refresh in steps because other sessions have changed the folder meanwhile.
REFRESHES_MAX = 5

# Maximum number of former names of folders that have a UIDVALIDITY each; older ones share the greatest of theirs.
FORMER_NAMES_MAX = 1000
