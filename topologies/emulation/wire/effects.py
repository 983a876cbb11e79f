"""Effects of a link on frames (loss, rate, delay, reordering), as functions of size, arrival time and randomness.

Every effect has one method, `exit_ns(size_bytes, now_ns) -> ns | None`: the time at which a frame that enters now
leaves, or None if it is lost. The effects of one direction of a link form a chain. Times are integers in nanoseconds on
one monotonic clock; sizes are those of the Ethernet frame without its frame check sequence, as tc(8) counts them.
"""

from collections import deque
from collections.abc import Sequence
from random import Random
from typing import Protocol

from lab7.topologies.emulation.shape import Shape
from lab7.topologies.emulation.wire.trace import TraceRate, read_trace

NS = 1_000_000_000


class Effect(Protocol):
    """Interface of one effect of a link on frames, such as loss or delay."""

    def exit_ns(self, size_bytes: int, now_ns: int) -> int | None:
        """Return the time in ns at which a frame of `size_bytes` that enters at `now_ns` leaves; None if it is lost."""


class Loss:
    """Effect of random loss: each frame is lost with a fixed probability, independently (netem's `loss random`)."""

    def __init__(self, probability: float, random: Random) -> None:
        self._probability = probability
        self._random = random

    def exit_ns(self, size_bytes: int, now_ns: int) -> int | None:  # noqa: ARG002
        """Return the time in ns at which a frame that enters at `now_ns` leaves, None if it is lost."""
        return None if self._random.random() < self._probability else now_ns


class Rate:
    """Effect of a transmitter with fixed rate and a drop-tail queue (capacity with the frame in transmission)."""

    def __init__(self, rate_bps: float, queue_frames: int) -> None:
        self._ns_per_byte = 8 * NS / rate_bps
        self._queue_frames = queue_frames
        self._ends_ns: deque[int] = deque()

    def exit_ns(self, size_bytes: int, now_ns: int) -> int | None:
        """Return the time in ns at which a frame that enters at `now_ns` leaves, None if it is lost."""
        ends = self._ends_ns
        while ends and ends[0] <= now_ns:
            ends.popleft()
        if len(ends) >= self._queue_frames:
            return None
        start_ns = ends[-1] if ends else now_ns
        end_ns = start_ns + round(size_bytes * self._ns_per_byte)
        ends.append(end_ns)
        return end_ns

    def waiting(self, now_ns: int) -> int:
        """Return the number of frames in the queue at a time, with the frame in transmission."""
        return sum(end_ns > now_ns for end_ns in self._ends_ns)


class Delay:
    """Effect of propagation: a fixed delay plus uniform jitter in [-jitter, +jitter].

    Frames may overtake each other.
    """

    def __init__(self, delay_s: float, jitter_s: float, random: Random) -> None:
        self._delay_ns = round(delay_s * NS)
        self._jitter_ns = round(jitter_s * NS)
        self._random = random

    def exit_ns(self, size_bytes: int, now_ns: int) -> int | None:  # noqa: ARG002
        """Return the time in ns at which a frame that enters at `now_ns` leaves, None if it is lost."""
        extra_ns = self._random.randint(-self._jitter_ns, self._jitter_ns) if self._jitter_ns else 0
        return now_ns + self._delay_ns + extra_ns


class Reorder:
    """Effect of reordering: a fraction of the frames is not delayed, and overtakes others (netem's `reorder`)."""

    def __init__(self, probability: float, delayed: Effect, random: Random) -> None:
        self._probability = probability
        self._delayed = delayed
        self._random = random

    def exit_ns(self, size_bytes: int, now_ns: int) -> int | None:
        """Return the time in ns at which a frame that enters at `now_ns` leaves, None if it is lost."""
        if self._random.random() < self._probability:
            return now_ns
        return self._delayed.exit_ns(size_bytes, now_ns)


class Chain:
    """Several effects in sequence: the time at which a frame leaves one effect is its arrival time at the next."""

    def __init__(self, effects: Sequence[Effect]) -> None:
        self.effects = effects

    def exit_ns(self, size_bytes: int, now_ns: int) -> int | None:
        """Return the time in ns at which a frame that enters at `now_ns` leaves, None if it is lost."""
        for effect in self.effects:
            out_ns = effect.exit_ns(size_bytes, now_ns)
            if out_ns is None:
                return None
            now_ns = out_ns
        return now_ns


def waiting(effect: Effect, now_ns: int) -> int:
    """Return the number of frames in the queue of a chain of effects at a time; 0 for a chain without a rate."""
    parts = effect.effects if isinstance(effect, Chain) else [effect]
    return sum(part.waiting(now_ns) for part in parts if isinstance(part, Rate | TraceRate))


def build(shape: Shape, random: Random) -> Effect:
    """Return the effects of a shape as a chain, in the order of a real link: loss, transmission, propagation.

    Raises TopologyError for an invalid trace.
    """
    effects: list[Effect] = []
    if shape.loss:
        effects.append(Loss(shape.loss, random))
    if shape.rate_bps is not None:
        effects.append(Rate(shape.rate_bps, shape.queue_frames))
    if shape.trace is not None:
        effects.append(TraceRate(read_trace(shape.trace), shape.queue_frames))
    if shape.delay_s:
        delay: Effect = Delay(shape.delay_s, shape.jitter_s, random)
        effects.append(Reorder(shape.reorder, delay, random) if shape.reorder else delay)
    return effects[0] if len(effects) == 1 else Chain(effects)
