"""Limits of an HTTP/2 connection: sizes, counts, time limits, and rate limits against abuse (RFC 9113 section 10.5).

Each constant has its source beside it. RateLimits counts events that cost this side more than the peer; beyond its
limits the connection ends with ENHANCE_YOUR_CALM, the error code that section 7 has for such a peer.
"""

from dataclasses import dataclass

from lab7.services.http.http2.errors import ErrorCode, Http2ConnectionError

# Maximum frame payload in octets, the initial SETTINGS_MAX_FRAME_SIZE: larger frames would delay other streams.
FRAME_OCTETS = 16_384

# SETTINGS_MAX_CONCURRENT_STREAMS announced: RFC 9113 section 6.5.2 recommends no less than 100.
CONCURRENT_STREAMS = 100

# Initial flow-control window of every stream and of the connection in octets (RFC 9113 section 6.9.2).
INITIAL_WINDOW = 65_535
# Maximum content sent between 101 and the client's preface: TCP's initial window; curl fails above 32 KiB.
EARLY_OCTETS = 16_384
# Largest flow-control window (RFC 9113 section 6.9.1).
LARGEST_WINDOW = 2**31 - 1

# Receive window of the connection, and of a stream with a large upload: fills a path of 80 Mbit/s and 100 ms RTT.
UPLOAD_WINDOW = 1024 * 1024
# Maximum number of a connection's streams with UPLOAD_WINDOW at one time; all others keep the initial window.
GROWING_BODIES = 4

# SETTINGS_MAX_HEADER_LIST_SIZE announced: the limit of an HTTP/1 head (lab7.services.http.limits.HEAD_OCTETS).
HEADER_LIST_OCTETS = 65_536
# Maximum size of a header list to decode, which gets 431; beyond it the connection ends (HPACK bomb).
DECODED_OCTETS = 4 * HEADER_LIST_OCTETS
# Maximum size of an encoded header block, summed over its HEADERS and CONTINUATION frames.
HEADER_BLOCK_OCTETS = 65_536
# Maximum number of CONTINUATION frames of one header block: nghttp2's limit, set after CVE-2024-27316.
CONTINUATION_FRAMES = 8
# Maximum dynamic table of HPACK (RFC 9113 section 6.5.2): a larger one that the peer offers is not used.
HEADER_TABLE_OCTETS = 4096
# Maximum number of header blocks in the cache of hpack.py.
CACHED_BLOCKS = 256

# Maximum burst and rate of stream resets before the response: nghttp2's limits (CVE-2023-44487, CVE-2025-8671).
RESETS_BURST = 1000
RESETS_PER_S = 33.0
# Maximum burst and rate of PING, SETTINGS and other frames without progress: nghttp2's (CVE-2019-9511 to 9518).
IDLE_FRAMES_BURST = 1000
IDLE_FRAMES_PER_S = 33.0
# Maximum number of WINDOW_UPDATE frames per DATA frame sent, as in Envoy; more count as frames without progress.
WINDOW_UPDATES_PER_DATA = 10

# Minimum number of closed streams whose reason for closing is kept, to ignore or reject late frames on them.
CLOSED_STREAMS = 1000

# Maximum number of requests parsed in one batch before their responses are produced.
BATCH_REQUESTS = 32
# Maximum octets in the output buffer: above it, no further request is handled and no content is read.
OUTGOING_OCTETS = 131_072
# Octets of content read and written to the socket before other connections are served: two frames.
TURN_OCTETS = 32_768

# Maximum number of objects pushed with one page: the concurrent streams that RFC 9113 section 6.5.2 recommends.
PUSHED_OBJECTS = 100
# Maximum number of pages whose links are cached for push.
CACHED_PAGES = 64


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Time limits in seconds for the client of one HTTP/2 connection, and its minimum rate.

    The class Limits in services/http/server/context.py gives the sources of the values.
    """

    head_s: float
    body_s: float
    body_rate_octets_s: float
    settings_s: float


class TokenBucket:
    """Token bucket: holds at most `burst` tokens, is full at the start, and gains `per_s` tokens per second."""

    def __init__(self, burst: int, per_s: float, noun: str) -> None:
        """Create a full bucket; `noun` names the limited events in the error message."""
        self._burst = burst
        self._per_s = per_s
        self._noun = noun
        self._tokens = float(burst)
        self._refilled_at = 0.0

    def consume(self, now: float) -> None:
        """Consume one token; raises Http2ConnectionError if the bucket is empty."""
        refill = max(0.0, now - self._refilled_at) * self._per_s
        self._tokens = min(self._burst, self._tokens + refill) - 1
        self._refilled_at = now
        if self._tokens < 0:
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, f"too many {self._noun}")

    def refund(self) -> None:
        """Return one token to the bucket."""
        self._tokens = min(float(self._burst), self._tokens + 1)


class RateLimits:
    """Rate limits of one connection against abuse: stream resets, and frames without progress, such as PING."""

    def __init__(self) -> None:
        self._resets = TokenBucket(RESETS_BURST, RESETS_PER_S, "stream resets")
        self._idle_frames = TokenBucket(IDLE_FRAMES_BURST, IDLE_FRAMES_PER_S, "frames without progress")
        self._window_updates = WINDOW_UPDATES_PER_DATA

    def count_reset(self, now: float) -> None:
        """Count a stream reset before its response was complete; raises Http2ConnectionError above the rate."""
        self._resets.consume(now)

    def count_idle_frame(self, now: float) -> None:
        """Count a frame that makes no progress; raises Http2ConnectionError above the rate."""
        self._idle_frames.consume(now)

    def credit(self) -> None:
        """Permit WINDOW_UPDATES_PER_DATA more WINDOW_UPDATE frames, and one more frame without progress.

        The connection calls this for each DATA frame sent and each stream opened, since these make progress.
        """
        self._window_updates += WINDOW_UPDATES_PER_DATA
        self._idle_frames.refund()

    def count_window_update(self, now: float) -> None:
        """Count a WINDOW_UPDATE frame, against the credit() for such frames or else as a frame without progress."""
        if self._window_updates > 0:
            self._window_updates -= 1
        else:
            self._idle_frames.consume(now)
