"""Limits of the HTTP response store: memory, disk space, numbers and sizes of entries; each with its source."""

# Default memory for all stored responses: squid's default cache_mem.
MEMORY_OCTETS = 256 * 1024 * 1024

# Maximum content of one stored response, so that one response does not evict all others from a shared cache.
OBJECT_OCTETS = 64 * 1024 * 1024

# Default disk space for the files of a store: of the order of the values in squid's and nginx's manuals.
DISK_OCTETS = 1024 * 1024 * 1024

# Maximum number of stored responses: at about 10 KB each without content, MEMORY_OCTETS is usually reached first.
ENTRIES_MAX = 100_000

# Maximum number of variants of one URI (RFC 9111 section 4.1), beyond which the least recently used one is evicted.
VARIANTS_MAX = 64

# Maximum length of a cache key, the limit of a request line (lab7.services.http.limits.REQUEST_LINE_OCTETS).
URI_OCTETS = 8192

# Maximum size of a metadata file: the largest heads of a response and its request, and the format's overhead.
HEAD_OCTETS = 512 * 1024

# Maximum size of content that is cached in memory although it is on disk; equal to the limit for an origin's files.
HELD_CONTENT_OCTETS = 65_536

# Memory of a stored response's CPython objects: 1200 octets measured, and a margin for derived metadata.
ENTRY_OVERHEAD_OCTETS = 2000
# Memory of the CPython objects for one field line of a response or its request: 300 octets were measured.
LINE_OVERHEAD_OCTETS = 400

# Unit of disk space in octets: the block size of ext4, xfs and btrfs.
BLOCK_OCTETS = 4096

# Maximum octets of one read when content is verified.
PIECE_OCTETS = 1024 * 1024
