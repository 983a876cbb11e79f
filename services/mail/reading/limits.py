"""Every bound on what is shown of a message, named once, each with its source."""

# What one name may have on ext4, xfs and btrfs (NAME_MAX).
FILE_NAME_OCTETS = 255

# What is taken for the ending of a file's name; `.markdown` has eight.
ENDING_CHARACTERS = 12

# Characters of one text that are made ready to be read; a novel has a million.
TEXT_CHARACTERS = 2_000_000

# Parts of a message that are listed; Dovecot's default bound of MIME parts is 10000, a person looks at fewer.
PIECES_MAX = 500
