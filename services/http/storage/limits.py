"""Every bound of the store, named once, each with its source."""

# What all stored responses may take in memory where nobody says otherwise; squid's cache_mem default.
MEMORY_OCTETS = 256 * 1024 * 1024

# The largest content that is stored. In a shared cache one response is not to push out all others.
OBJECT_OCTETS = 64 * 1024 * 1024

# What all files may take where nobody says otherwise; of the order of squid's and nginx's examples.
DISK_OCTETS = 1024 * 1024 * 1024

# Stored responses in all. An entry takes about 10 KB without its content, so that is 1 GB, and MEMORY_OCTETS are
# reached before.
ENTRIES_MAX = 100_000

# Stored responses of one URI, one for each way in which a request's fields select (RFC 9111 section 4.1). An origin
# that varies on User-Agent makes one for each browser; the one unused for longest goes.
VARIANTS_MAX = 64

# RFC 9112 section 3: at least 8000 octets of request line are to be supported, and no key is longer than one.
URI_OCTETS = 8192

# A response's and a request's field lines at their own bounds (services.http.limits), and what a format adds to them.
HEAD_OCTETS = 512 * 1024

# Content up to this size is held in memory also where there is a disk; the same as for an origin's files.
HELD_CONTENT_OCTETS = 65_536

# What the objects around a stored response take in CPython: per entry, and per field line of its two heads. Measured
# 1200 and 300; the rest is for what services.http.cache works out and keeps with it.
ENTRY_OVERHEAD_OCTETS = 2000
LINE_OVERHEAD_OCTETS = 400

# What a file takes is counted in the blocks of ext4, xfs and btrfs.
BLOCK_OCTETS = 4096

# Read at a time where content is verified.
PIECE_OCTETS = 1024 * 1024
