"""Limits of HTTP/1 messages and connections: sizes of heads and content, counts, digits; each with its source."""

# Maximum length of a request line: RFC 9112 section 3 recommends to support at least 8000 octets.
REQUEST_LINE_OCTETS = 8192

# Maximum size of a message head (start line and header section); Node.js has 16 KiB, Envoy 60 KiB.
HEAD_OCTETS = 65_536

# Maximum number of field lines in a header section, 431 beyond it: Apache's LimitRequestFields default.
FIELD_LINES = 100

# Maximum number of empty lines before a request line: RFC 9112 section 2.2 requires ignoring at least one.
EMPTY_LINES_BEFORE_REQUEST = 4

# RFC 9112 section 7.1: maximum number of hexadecimal digits in a chunk size, enough for 64 bits.
CHUNK_SIZE_DIGITS = 16
# RFC 9112 section 7.1.1: maximum length of the line with a chunk's size and extensions.
CHUNK_LINE_OCTETS = 1024
# RFC 9112 section 7.1.1: maximum size of all chunk extensions of a message.
CHUNK_EXTENSION_OCTETS = 16_384

# Maximum size of a trailer section: as much as a small header section.
TRAILER_OCTETS = 8192

# Maximum content of a request, 413 beyond it; content is buffered until the response is sent. nginx's default: 1 MiB.
REQUEST_BODY_OCTETS = 4 * 1024 * 1024

# Maximum content of a response at the client: far more than any object of an experiment.
RESPONSE_BODY_OCTETS = 1024 * 1024 * 1024

# Maximum unparsed input of a connection; above it the connection stops reading, which bounds pipelining.
UNPARSED_OCTETS = 1024 * 1024

# Maximum number of requests that a client sends ahead of their responses (pipelining).
PIPELINED_REQUESTS = 256

# Maximum number of digits in Content-Length: enough for every 63-bit file size.
CONTENT_LENGTH_DIGITS = 19
