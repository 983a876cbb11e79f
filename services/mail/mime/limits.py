"""Limits of the MIME parser, each with its source."""

# MIME parts nested deeper than this are not parsed (Dovecot: 100).
DEPTH_MAX = 100

# Of a message, this many MIME parts are parsed; all octets after that belong to the last part (Dovecot: 10,000).
PARTS_MAX = 10_000

# This many lines that begin with "--" are compared with the boundaries, to bound the time for hostile messages.
DELIMITER_LINES_MAX = 200_000

# Of a header field with addresses, parameters or encoded words, this many octets are parsed.
FIELD_OCTETS_MAX = 256 * 1024

# Of a header section, this many fields are parsed; further fields are returned as received only.
FIELDS_MAX = 10_000

# Of an address field, this many addresses are parsed.
ADDRESSES_MAX = 10_000

# Of a field such as Content-Type, this many parameters are parsed.
PARAMETERS_MAX = 1000

# Comments in fields may be nested this deep; beyond it the rest of the field is not parsed.
COMMENT_DEPTH_MAX = 100
