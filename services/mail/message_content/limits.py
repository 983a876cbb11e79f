"""Limits on displayed messages, each with its source."""

# Length of a file name on ext4, xfs and btrfs (NAME_MAX).
FILE_NAME_OCTETS = 255

# Length of a file name extension; `.markdown` has eight.
ENDING_CHARACTERS = 12

# Characters of one text part that are decoded; a novel has a million.
TEXT_CHARACTERS = 2_000_000

# Listed parts of a message; Dovecot's limit is 10000 MIME parts, far more than a page shows.
LEAF_PARTS_MAX = 500
