"""Traffic shape of a link: TCLink's parameters (rate, delay, loss, queue ...) in bit/s, seconds and fractions of 1."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab7.topologies.emulation.errors import TopologyError

# TCLink's parameter names, and `trace`: a file with the delivery opportunities of the link (see wire.trace).
SHAPING = ("bw", "delay", "jitter", "loss", "max_queue_size", "reorder", "trace")
# Time in tc's format, as iproute2's get_time64() parses it: a number, then a unit in either case.
_TIME = re.compile(
    r"\s*((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(s|secs?|ms|msecs?|us|usecs?|ns|nsecs?)?\s*", re.IGNORECASE
)
_SCALE_S = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "s": 1.0}
# Rates and sizes of tc(8): bits and octets per second, octets and kibioctets (whose names have no i).
_RATES = {"": 1.0, "bit": 1.0, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9, "bps": 8.0, "kbps": 8e3, "mbps": 8e6, "gbps": 8e9}
_SIZES = {"": 1, "b": 1, "k": 1024, "kb": 1024, "m": 2**20, "mb": 2**20, "kbit": 128, "mbit": 2**17}
_AMOUNT = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([a-z]*)", re.IGNORECASE)
# Kinds of switches, named as by `mn --switch`.
SWITCHES = ("lxbr", "ovs")
# Back ends of links: netem in the kernel, wire in user space; auto is netem if the kernel has it.
BACKENDS = ("auto", "netem", "wire")
DELAY_MAX_S = 60.0
BW_MAX_MBIT = 10_000.0


@dataclass(frozen=True)
class Shape:
    """Traffic shape of one direction of a link: rates in bit/s, times in seconds, loss and reorder as fractions of 1.

    rate_bps None: unlimited. queue_frames: capacity of the transmit queue in frames. trace: file with the times of
    delivery opportunities, in place of a rate; None without one.
    """

    rate_bps: float | None = None
    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    reorder: float = 0.0
    queue_frames: int = 1000
    trace: str | None = None


@dataclass(frozen=True)
class Queue:
    """State of the transmit queue of one direction of a link.

    frames: frames in the queue, with the one in transmission; dropped: frames that were lost or found the queue full,
    since the link got its present shape.
    """

    frames: int
    dropped: int


def parse_time_s(text: str | float, name: str = "delay") -> float:
    """Parse a time in tc's format ('5ms', '.3MS', '1s'; a bare number is in microseconds) and return it in seconds.

    Raises TopologyError.
    """
    match = _TIME.fullmatch(str(text))
    if match is None:
        raise TopologyError(f"{name}={text!r} is not a time: write it as 5ms, 300us or 1s")
    return float(match[1]) * _SCALE_S[(match[2] or "us")[0].lower()]


def is_time(text: str) -> bool:
    """Return whether a text is a valid time in tc's format, such as 5ms, with or without a unit."""
    return _TIME.fullmatch(text) is not None


def parse_rate_bps(text: str) -> float:
    """Parse a rate in tc's format (10mbit, 1gbit, 125kbps); return bit/s. Raises TopologyError."""
    return _amount(text, _RATES, "a rate: write it as 10mbit")


def parse_size_bytes(text: str) -> float:
    """Parse a size in tc's format (1500, 32kbit, 15k); return octets. Raises TopologyError."""
    return _amount(text, _SIZES, "a size: write it as 1500 or 15k")


def _amount(text: str, units: Mapping[str, float], form: str) -> float:
    match = _AMOUNT.fullmatch(text)
    unit = None if match is None else units.get(match[2].lower())
    if match is None or unit is None:
        raise TopologyError(f"{text!r} is not {form}")
    return float(match[1]) * unit


def has_unit(text: str) -> bool:
    """Return whether a text is a valid time with a unit, such as 5ms, or 0, which needs no unit."""
    match = _TIME.fullmatch(text)
    return match is not None and (match[2] is not None or float(match[1]) == 0)


def parse_shape(params: dict[str, Any]) -> Shape | None:
    """Return the traffic shape that TCLink's parameters describe; None if none of them shapes. Raises TopologyError."""
    given = {key: value for key, value in params.items() if key in SHAPING and value is not None}
    if not given:
        return None
    shape = Shape(
        rate_bps=_rate_bps(given.get("bw")),
        delay_s=parse_time_s(given.get("delay", 0.0)),
        jitter_s=parse_time_s(given.get("jitter", 0.0), "jitter"),
        loss=_fraction(given, "loss"),
        reorder=_fraction(given, "reorder"),
        queue_frames=_queue(given.get("max_queue_size", Shape.queue_frames)),
        trace=_trace(given),
    )
    if shape.delay_s > DELAY_MAX_S:
        raise TopologyError(f"delay={given['delay']} exceeds {DELAY_MAX_S:g} s")
    if shape.jitter_s > shape.delay_s:
        raise TopologyError(f"jitter={given['jitter']} is larger than delay={given.get('delay', 0)}")
    if shape.reorder and not shape.delay_s:
        raise TopologyError(f"reorder={given['reorder']} needs a delay")
    return shape


def _trace(given: dict[str, Any]) -> str | None:
    if "trace" not in given:
        return None
    if "bw" in given:
        raise TopologyError("a link has either bw or trace: leave one of them out")
    path = Path(str(given["trace"])).resolve()
    if not path.is_file():
        raise TopologyError(f"trace={given['trace']} is not a file: give one with a time in milliseconds on each line")
    return str(path)


def _number(value: Any, name: str, unit: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TopologyError(f"{name}={value!r} is not a number of {unit}") from None


def _rate_bps(bw: Any) -> float | None:
    if bw is None:
        return None
    mbit = _number(bw, "bw", "Mbit/s")
    if not 0 < mbit <= BW_MAX_MBIT:
        raise TopologyError(f"bw={bw} is outside of 0 to {BW_MAX_MBIT:g} Mbit/s")
    return mbit * 1e6


def _fraction(given: dict[str, Any], name: str) -> float:
    percent = _number(given.get(name, 0), name, "percent")
    if not 0 <= percent <= 100:
        raise TopologyError(f"{name}={given[name]} is not a percentage from 0 to 100")
    return percent / 100


def _queue(value: Any) -> int:
    frames = _number(value, "max_queue_size", "frames")
    # `not frames >= 1` is also true for NaN, and is_integer() is False for infinity.
    if not frames >= 1 or not frames.is_integer():
        raise TopologyError(f"max_queue_size={value} is not a whole number of frames, 1 or more")
    return int(frames)
