"""Limits of the HTTP services, each with its source."""

# RFC 9112 section 3 recommends to support at least 8000 octets.
REQUEST_LINE_OCTETS = 8192

# RFC 9110 section 5.4 leaves the limit to the server; Node.js and Envoy have one of this order.
HEAD_OCTETS = 65_536

# Apache's LimitRequestFields default.
FIELD_LINES = 100

# RFC 9112 section 2.2: a server should ignore at least one empty line before the request line.
EMPTY_LINES_BEFORE_REQUEST = 4

# RFC 9112 section 7.1: recipients limit chunk sizes (here 16 hexadecimal digits, 64 bits); 7.1.1: and extensions.
CHUNK_SIZE_DIGITS = 16
CHUNK_LINE_OCTETS = 1024
CHUNK_EXTENSION_OCTETS = 16_384

# The size of a small header section.
TRAILER_OCTETS = 8192

# Content of a request, which is buffered until the response is sent. nginx's default is 1 MiB.
REQUEST_BODY_OCTETS = 4 * 1024 * 1024

# Content of a response at the client: far more than any object of an experiment.
RESPONSE_BODY_OCTETS = 1024 * 1024 * 1024

# Unparsed input in the buffer; above it the connection stops reading, which bounds pipelining.
UNPARSED_OCTETS = 1024 * 1024

# Requests in a client's pipeline.
PIPELINED_REQUESTS = 256

# Enough for every 63-bit file size.
CONTENT_LENGTH_DIGITS = 19
