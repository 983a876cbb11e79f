"""Limits of an HTTP/2 connection: sizes, counts, time limits, and rate limits against abuse (RFC 9113 section 10.5).

Each constant has its source beside it. RateLimits counts events that cost this side more than the peer; beyond its
limits the connection ends with ENHANCE_YOUR_CALM, the error code that section 7 has for such a peer.
"""

from dataclasses import dataclass

from services.http.http2.errors import ErrorCode, Http2ConnectionError

# Size of a frame: the initial SETTINGS_MAX_FRAME_SIZE (RFC 9113 section 6.5.2). Larger ones would delay other streams.
FRAME_OCTETS = 16_384

# SETTINGS_MAX_CONCURRENT_STREAMS: RFC 9113 section 6.5.2 recommends no less than 100.
CONCURRENT_STREAMS = 100

# RFC 9113 section 6.9.2: the initial window of every stream and of the connection.
INITIAL_WINDOW = 65_535
# Content sent right after 101, before the client's preface has arrived: about TCP's initial window of ten
# segments (RFC 6928). curl fails if more than 32 KiB arrive there.
EARLY_OCTETS = 16_384
# Largest flow-control window (RFC 9113 section 6.9.1).
LARGEST_WINDOW = 2**31 - 1

# Receive window of the connection, and of a stream with a large upload: fills a path of 80 Mbit/s and 100 ms RTT.
UPLOAD_WINDOW = 1024 * 1024
# Streams of one connection that have UPLOAD_WINDOW at the same time; the others keep the initial window.
GROWING_BODIES = 4

# The SETTINGS_MAX_HEADER_LIST_SIZE announced: the same as for an HTTP/1 head (services.http.limits.HEAD_OCTETS).
HEADER_LIST_OCTETS = 65_536
# A header list larger than HEADER_LIST_OCTETS, up to this size, is decoded and gets 431; beyond it the connection ends
# (HPACK bomb).
DECODED_OCTETS = 4 * HEADER_LIST_OCTETS
# An encoded header block, summed over its HEADERS and CONTINUATION frames.
HEADER_BLOCK_OCTETS = 65_536
# CONTINUATION frames of one header block: NGHTTP2_DEFAULT_MAX_CONTINUATIONS of nghttp2, set after CVE-2024-27316.
CONTINUATION_FRAMES = 8
# RFC 9113 section 6.5.2: the initial SETTINGS_HEADER_TABLE_SIZE; a larger table that the peer offers is not used.
HEADER_TABLE_OCTETS = 4096
# Entries of the cache of header blocks (hpack.py).
CACHED_BLOCKS = 256

# Streams reset before their response was complete, by the peer or because of its errors (Rapid Reset, CVE-2023-44487;
# MadeYouReset, CVE-2025-8671): nghttp2's default, a burst of 1000 and 33 a second.
RESETS_BURST = 1000
RESETS_PER_S = 33.0
# Frames that cost work and make no progress: PING, SETTINGS, PRIORITY, empty DATA, unknown types, surplus
# WINDOW_UPDATE (CVE-2019-9511 to 9518). nghttp2's glitch limit has the same numbers.
IDLE_FRAMES_BURST = 1000
IDLE_FRAMES_PER_S = 33.0
# WINDOW_UPDATE frames per DATA frame sent: Envoy's max_inbound_window_update_frames_per_data_frame_sent.
WINDOW_UPDATES_PER_DATA = 10

# Closed streams whose Closing is stored, to classify late frames.
CLOSED_STREAMS = 1000

# Requests parsed in one batch before their responses are produced.
BATCH_REQUESTS = 32
# Outgoing octets in the buffer above which no further request is handled and no content is read.
OUTGOING_OCTETS = 131_072
# Content read and written to the socket at a time: two frames.
TURN_OCTETS = 32_768

# Objects pushed with one page: the number of streams that RFC 9113 section 6.5.2 recommends.
PUSHED_OBJECTS = 100
# Pages whose links are cached for push.
CACHED_PAGES = 64


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Time limits for the peer of one connection, in seconds; the server's Limits give the sources."""

    head_s: float
    body_s: float
    body_rate_octets_s: float
    settings_s: float


class TokenBucket:
    """A token bucket: `burst` tokens at first and at most, refilled by `per_s` a second."""

    def __init__(self, burst: int, per_s: float, noun: str) -> None:
        """`noun` names in the error the events that the tokens are for."""
        self._burst = burst
        self._per_s = per_s
        self._noun = noun
        self._tokens = float(burst)
        self._refilled_at = 0.0

    def consume(self, now: float) -> None:
        """Consume one token; raises Http2ConnectionError when the bucket is empty."""
        refill = max(0.0, now - self._refilled_at) * self._per_s
        self._tokens = min(self._burst, self._tokens + refill) - 1
        self._refilled_at = now
        if self._tokens < 0:
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, f"too many {self._noun}")

    def refund(self) -> None:
        """Return one token to the bucket."""
        self._tokens = min(float(self._burst), self._tokens + 1)


class RateLimits:
    """Rate limits for one connection's peer: reset streams, and frames that make no progress."""

    def __init__(self) -> None:
        self._resets = TokenBucket(RESETS_BURST, RESETS_PER_S, "streams reset")
        self._idle_frames = TokenBucket(IDLE_FRAMES_BURST, IDLE_FRAMES_PER_S, "frames that bring nothing")
        self._window_updates = WINDOW_UPDATES_PER_DATA

    def count_reset(self, now: float) -> None:
        """Count a stream that was reset before its response was complete."""
        self._resets.consume(now)

    def count_idle_frame(self, now: float) -> None:
        """Count a frame that makes no progress."""
        self._idle_frames.consume(now)

    def credit(self) -> None:
        """Credit the peer for a DATA frame or a stream: it may send so many WINDOW_UPDATE for it, and one PING."""
        self._window_updates += WINDOW_UPDATES_PER_DATA
        self._idle_frames.refund()

    def count_window_update(self, now: float) -> None:
        """Count a WINDOW_UPDATE; it is free while it is covered by credit for DATA sent."""
        if self._window_updates > 0:
            self._window_updates -= 1
        else:
            self._idle_frames.consume(now)
