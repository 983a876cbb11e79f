"""Limits on displayed messages, each with its source."""

# A file name may have 255 octets, NAME_MAX of ext4, xfs and btrfs.
FILE_NAME_OCTETS = 255

# A file name extension may have this many characters (`.markdown` has eight).
ENDING_CHARACTERS = 12

# Of a text part, this many characters are decoded; a novel has a million.
TEXT_CHARACTERS = 2_000_000

# Of a message, this many leaf parts are displayed or listed, fewer than Dovecot's limit of 10,000 MIME parts.
LEAF_PARTS_MAX = 500
