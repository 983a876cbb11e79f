"""Selection of the frames of some conversations from a capture, so that a diagram dissects only these frames.

A conversation is all packets between two endpoints (address and port) of TCP or UDP. Conversations are identified by
the octets of the headers, without dissecting whole frames.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from lab7.experiments.harness.judge.fragments import ipv4_offset
from lab7.experiments.harness.judge.frames import (
    IPV6,
    IPV6_NEXT_HEADER,
    IPV6_PAYLOAD,
    TCP_PROTOCOL,
    UDP_PROTOCOL,
    CaptureFile,
)

Key = frozenset[bytes]
# Number of frames kept after the last selected one of a conversation: its copies, acknowledgements, the close.
FRAMES_BEHIND = 40


def conversation_of(data: bytes) -> Key | None:
    """Return both endpoints of the TCP segment or UDP datagram in a frame; None if it has neither.

    IP fragments other than the first one have no ports, and also give None.
    """
    at = ipv4_offset(data)
    if at:
        header = 4 * (data[at] & 0x0F)
        fragment = int.from_bytes(data[at + 6 : at + 8], "big") & 0x1FFF
        if fragment or data[at + 9] not in (TCP_PROTOCOL, UDP_PROTOCOL):
            return None
        return _key(data[at + 9], data[at + 12 : at + 16], data[at + 16 : at + 20], data[at + header : at + header + 4])
    if data[12:14] == IPV6 and len(data) >= IPV6_PAYLOAD + 4 and data[IPV6_NEXT_HEADER] in (TCP_PROTOCOL, UDP_PROTOCOL):
        return _key(data[IPV6_NEXT_HEADER], data[22:38], data[38:54], data[IPV6_PAYLOAD : IPV6_PAYLOAD + 4])
    return None


def _key(protocol: int, source: bytes, target: bytes, ports: bytes) -> Key:
    kind = bytes([protocol])
    return frozenset((kind + source + ports[:2], kind + target + ports[2:]))


def conversations_with(captured: CaptureFile, numbers: Collection[int]) -> CaptureFile:
    """Return a capture reduced to the conversations of the given frames, up to the last of these frames.

    Frames keep their numbers.
    """
    wanted = set(numbers)
    last: dict[Key, int] = {}
    keys = [conversation_of(frame.data) for frame in captured.frames]
    for frame, key in zip(captured.frames, keys, strict=True):
        if key is not None and frame.number in wanted:
            last[key] = max(last.get(key, 0), frame.time_ns)
    # Keep some later frames too: the last frame's copy at the receiver comes later, by the delay of the path.
    kept, behind = [], dict.fromkeys(last, 0)
    for frame, key in zip(captured.frames, keys, strict=True):
        if key is None or key not in last:
            continue
        if frame.time_ns > last[key]:
            behind[key] += 1
        if behind[key] <= FRAMES_BEHIND:
            kept.append(frame)
    return replace(captured, frames=tuple(kept))
