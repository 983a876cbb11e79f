"""Size, depth and count limits of the MIME parser, each explained by a comment."""

# Maximum nesting depth of MIME parts that are parsed (Dovecot: 100).
DEPTH_MAX = 100

# Maximum number of MIME parts parsed per message; all octets after that belong to the last part (Dovecot: 10,000).
PARTS_MAX = 10_000

# Maximum number of lines with "--" compared with the boundaries, to bound the time for hostile messages.
DELIMITER_LINES_MAX = 200_000

# Maximum octets parsed of a header field with addresses, parameters or encoded words.
FIELD_OCTETS_MAX = 256 * 1024

# Maximum number of fields parsed per header section; further fields are returned as received only.
FIELDS_MAX = 10_000

# Maximum number of addresses parsed per address field.
ADDRESSES_MAX = 10_000

# Maximum number of parameters parsed per field such as Content-Type.
PARAMETERS_MAX = 1000

# Maximum nesting depth of comments in fields; beyond it the rest of the field is not parsed.
COMMENT_DEPTH_MAX = 100
