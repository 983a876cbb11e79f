"""Size and count limits on displayed messages (text, file names, parts), each explained by a comment."""

# Maximum octets of a file name: NAME_MAX of ext4, xfs and btrfs.
FILE_NAME_OCTETS = 255

# Maximum characters of a file name extension, longer than `.markdown` needs.
ENDING_CHARACTERS = 12

# Maximum characters of a text part that are decoded; a novel has a million.
TEXT_CHARACTERS = 2_000_000

# Maximum leaf parts of a message that are displayed or listed, fewer than Dovecot's limit of 10,000 MIME parts.
LEAF_PARTS_MAX = 500
