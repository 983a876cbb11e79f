"""Every bound of the HTTP services, named once, each with its source."""

# RFC 9112 section 3: at least 8000 octets of request line are to be supported.
REQUEST_LINE_OCTETS = 8192

# RFC 9110 section 5.4 leaves the size of a header section to the server; this is node's and Envoy's order.
HEAD_OCTETS = 65_536

# Apache's LimitRequestFields default.
FIELD_LINES = 100

# RFC 9112 section 2.2 asks to skip at least one empty line before a request line.
EMPTY_LINES_BEFORE_REQUEST = 4

# RFC 9112 section 7.1: a recipient bounds chunk sizes (here 16 hexadecimal digits, 64 bits) and, by 7.1.1, extensions.
CHUNK_SIZE_DIGITS = 16
CHUNK_LINE_OCTETS = 1024
CHUNK_EXTENSION_OCTETS = 16_384

# A trailer section is as long as a small header section at most.
TRAILER_OCTETS = 8192

# What a request may carry: the body is held in memory until the resource has answered. nginx's default is 1 MiB.
REQUEST_BODY_OCTETS = 4 * 1024 * 1024

# What a client takes of one response: far more than a lesson's page names.
RESPONSE_BODY_OCTETS = 1024 * 1024 * 1024

# Octets that may wait unparsed; above it the shell stops reading, which is the bound on pipelining.
UNPARSED_OCTETS = 1024 * 1024

# Requests that a client sends ahead of their responses.
PIPELINED_REQUESTS = 256

# RFC 9112 section 6.3 needs a number; a 63-bit one fits every file size.
CONTENT_LENGTH_DIGITS = 19
