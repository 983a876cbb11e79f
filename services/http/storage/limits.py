"""Limits of the store and their sources."""

# Default memory for all stored responses: squid's default cache_mem.
MEMORY_OCTETS = 256 * 1024 * 1024

# Maximum content of one stored response, so that one response does not evict all others from a shared cache.
OBJECT_OCTETS = 64 * 1024 * 1024

# Default disk space for all files, in the order of the examples of squid and nginx.
DISK_OCTETS = 1024 * 1024 * 1024

# Maximum number of stored responses. An entry takes about 10 KB without its content, 1 GB for all, so that
# MEMORY_OCTETS is usually reached first.
ENTRIES_MAX = 100_000

# Maximum number of variants of one URI (RFC 9111 section 4.1); the least recently used one is evicted. An origin that
# varies on User-Agent creates a variant for each browser.
VARIANTS_MAX = 64

# Length of a cache key, at most that of a request line (services.http.limits.REQUEST_LINE_OCTETS).
URI_OCTETS = 8192

# Size of a file of metadata: the largest heads of a response and its request, and the overhead of the format.
HEAD_OCTETS = 512 * 1024

# Content up to this size is cached in memory even with a disk; the same as for an origin's files.
HELD_CONTENT_OCTETS = 65_536

# Memory of the CPython objects of a stored response: per entry, and per field line of its two heads. Measured 1200 and
# 300; the rest is for the derived metadata (services/http/cache/freshness.py).
ENTRY_OVERHEAD_OCTETS = 2000
LINE_OVERHEAD_OCTETS = 400

# Unit in which disk space is counted: the block size of ext4, xfs and btrfs.
BLOCK_OCTETS = 4096

# Size of a read when content is verified.
PIECE_OCTETS = 1024 * 1024
