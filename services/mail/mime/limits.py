"""Limits of the MIME parser, each with its source."""

# Nesting depth; deeper parts are not parsed. Dovecot's default is 100.
DEPTH_MAX = 100

# Parts per message; the octets after the last belong to it. Dovecot's default is 10000.
PARTS_MAX = 10_000

# Lines beginning with "--" compared with the boundaries: bounds the time for a message of nothing else.
DELIMITER_LINES_MAX = 200_000

# Octets parsed of one field (addresses, parameters, encoded words).
FIELD_OCTETS_MAX = 256 * 1024

# Fields parsed per header; the others are still returned as received.
FIELDS_MAX = 10_000

# Addresses per field.
ADDRESSES_MAX = 10_000

# Parameters per field.
PARAMETERS_MAX = 1000

# Nesting of comments; a deeper one makes the rest of the field unparsable.
COMMENT_DEPTH_MAX = 100
