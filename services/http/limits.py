"""Limits of the HTTP services, each with its source."""

# Length of a request line: RFC 9112 section 3 recommends to support at least 8000 octets.
REQUEST_LINE_OCTETS = 8192

# Size of a head with its start line. RFC 9110 section 5.4 leaves it to the server; Node.js: 16 KiB; Envoy: 60 KiB.
HEAD_OCTETS = 65_536

# Field lines of a header section: Apache's LimitRequestFields default.
FIELD_LINES = 100

# RFC 9112 section 2.2: a server should ignore at least one empty line before the request line.
EMPTY_LINES_BEFORE_REQUEST = 4

# Limits of the chunked coding (RFC 9112 sections 7.1 and 7.1.1): hexadecimal digits of a chunk size (64 bits), the line
# with the size, and the extensions of all chunks of a message.
CHUNK_SIZE_DIGITS = 16
CHUNK_LINE_OCTETS = 1024
CHUNK_EXTENSION_OCTETS = 16_384

# Size of a trailer section: that of a small header section.
TRAILER_OCTETS = 8192

# Content of a request, which is buffered until the response is sent. nginx's default is 1 MiB.
REQUEST_BODY_OCTETS = 4 * 1024 * 1024

# Content of a response at the client: far more than any object of an experiment.
RESPONSE_BODY_OCTETS = 1024 * 1024 * 1024

# Unparsed input in the buffer; above it the connection stops reading, which bounds pipelining.
UNPARSED_OCTETS = 1024 * 1024

# Requests that a client sends ahead of their responses (pipelining).
PIPELINED_REQUESTS = 256

# Digits of Content-Length: enough for every 63-bit file size.
CONTENT_LENGTH_DIGITS = 19
