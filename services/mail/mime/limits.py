"""Every bound on the structure of a message, named once, each with its source."""

# How deep parts are nested; what lies deeper is one part. Dovecot's default of nested parts is 100.
DEPTH_MAX = 100

# Parts of one message; what follows the last belongs to it. Dovecot's default of MIME parts is 10000.
PARTS_MAX = 10_000

# Lines that begin with "--" and are compared with the boundaries; a message of nothing else would take long otherwise.
DELIMITER_LINES_MAX = 200_000

# Octets of one field that are read for its meaning (addresses, parameters, encoded words).
FIELD_OCTETS_MAX = 256 * 1024

# Fields of one header whose meaning is looked for; others are still shown as they are.
FIELDS_MAX = 10_000

# Addresses of one field that are shown.
ADDRESSES_MAX = 10_000

# Parameters of one field that are shown.
PARAMETERS_MAX = 1000

# How deep comments are nested before a header counts as unreadable from there on.
COMMENT_DEPTH_MAX = 100
