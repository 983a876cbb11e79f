"""Every bound of an HTTP/2 connection, named once, each with its source."""

from dataclasses import dataclass

# RFC 9113 section 6.5.2: the initial value, which this server keeps; larger frames would only delay other streams.
FRAME_OCTETS = 16_384

# RFC 9113 section 6.5.2 recommends no less than 100.
CONCURRENT_STREAMS = 100

# RFC 9113 section 6.9.2: every stream's window at first, and the connection's.
INITIAL_WINDOW = 65_535
# Content sent right behind 101, before the client's preface came: as much as TCP's first flight of ten segments (RFC
# 6928) carries anyway. curl gives up on more than 32 KiB there.
EARLY_OCTETS = 16_384
# RFC 9113 section 6.9.1
LARGEST_WINDOW = 2**31 - 1

# What the connection's window, and that of a request with much content, is kept at: a path of 80 Mbit/s and 100 ms.
UPLOAD_WINDOW = 1024 * 1024
# Requests of one connection whose content may grow beyond the initial window at the same time.
GROWING_BODIES = 4

# What is announced as SETTINGS_MAX_HEADER_LIST_SIZE: as much as a head of HTTP/1 may have (limits.HEAD_OCTETS).
HEADER_LIST_OCTETS = 65_536
# Up to this a longer list is read to its end and answered with 431; above it the connection ends: a compressed bomb.
DECODED_OCTETS = 4 * HEADER_LIST_OCTETS
# A header block on the wire, its frames together.
HEADER_BLOCK_OCTETS = 65_536
# nghttp2's default (NGHTTP2_DEFAULT_MAX_CONTINUATIONS), set after CVE-2024-27316 and its kin.
CONTINUATION_FRAMES = 8
# RFC 9113 section 6.5.2: SETTINGS_HEADER_TABLE_SIZE at first; a peer that offers more is not taken up on it.
HEADER_TABLE_OCTETS = 4096
# Header blocks that are remembered while they stay valid.
REMEMBERED_BLOCKS = 256

# Streams reset before their response was complete, by the peer or for its mistakes (CVE-2023-44487, CVE-2025-8671):
# nghttp2's default, 1000 at once and 33 more a second.
RESETS_BURST = 1000
RESETS_PER_S = 33.0
# Frames that ask for work and bring nothing: PING, SETTINGS, PRIORITY, empty DATA, unknown types, surplus
# WINDOW_UPDATE (CVE-2019-9511 to 9518). nghttp2's glitch limit has the same numbers.
IDLE_FRAMES_BURST = 1000
IDLE_FRAMES_PER_S = 33.0
# Envoy's max_inbound_window_update_frames_per_data_frame_sent.
WINDOW_UPDATES_PER_DATA = 10

# How many closed streams are remembered, and with them how they closed.
CLOSED_STREAMS = 1000

# Requests that one turn takes out of what came, before their responses are made.
BATCH_REQUESTS = 32
# Octets that wait for the socket above which no further request is taken up and no content is read.
OUTGOING_OCTETS = 131_072
# Content that is read and handed to the socket at a time: two frames, after which the socket is asked again.
TURN_OCTETS = 32_768

# Objects promised with one page: as many as the streams that RFC 9113 recommends.
PUSHED_OBJECTS = 100
# Pages whose objects are remembered.
REMEMBERED_PAGES = 64


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a peer may take, in seconds; the server's Limits say where the numbers are from."""

    head_s: float
    body_s: float
    body_rate_octets_s: float
    settings_s: float
