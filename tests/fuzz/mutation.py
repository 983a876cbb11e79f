"""Mutations of sessions: of their steps, of the octets of a step, and by the grammar of the protocol (see dialects)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.fuzz.script import (
    ANSWER,
    DATA,
    DATA_RESET,
    DATAGRAM,
    DEAF,
    HALF_CLOSE,
    PAUSE,
    RESET,
    SEND,
    WAIT,
    WITH_OCTETS,
    Session,
    Step,
)

# Bounds of one session: of its steps, and of the octets of one step.
STEPS_MAX = 400
OCTETS_MAX = 1_000_000
# Lengths of long lines: about the limits of lines, buffers and windows, and far above.
LONG = (500, 998, 1000, 4096, 8192, 8193, 16_384, 65_535, 65_536, 70_000, 300_000)
NUMBERS = (
    b"0", b"1", b"2", b"-1", b"7", b"255", b"256", b"65535", b"65536", b"2147483647", b"2147483648", b"4294967295",
    b"4294967296", b"18446744073709551616", b"1" * 400, b"00", b"0x10", b"1.5", b"1e9", b"*", b"",
)  # fmt: skip
LINE_ENDS = (b"\n", b"\r", b"\r\n\r\n", b"", b"\r\r\n", b"\n\r", b"\0\r\n", b" \r\n", b"\t\r\n")
_NUMBER = re.compile(rb"\d+")
_WORD = re.compile(rb"[A-Za-z][A-Za-z0-9.-]*")

Rewrite = Callable[[bytes, Random], bytes]


@dataclass(frozen=True)
class Dialect:
    """What mutations know of a protocol: words of its grammar, and a mutation that keeps its framing, if it has one."""

    words: Sequence[bytes] = ()
    structured: Rewrite | None = None
    # The steps whose octets are mutated more often: those of the peer behind the service.
    answers: Rewrite | None = None


def mutate(corpus: Sequence[Session], random: Random, dialect: Dialect) -> Session:
    """Return a session of the corpus with some mutations; one in twelve has none, so that valid ones run beside."""
    steps = list(random.choice(corpus))
    if random.random() < 1 / 12:
        return tuple(steps)
    for _ in range(min(1 + int(random.expovariate(0.5)), 12)):
        if random.random() < 0.4:
            steps = _change_steps(steps, corpus, random)
        else:
            _change_octets(steps, random, dialect)
        steps = steps[:STEPS_MAX]
    return tuple(steps)


# Mutations of steps.


def _change_steps(steps: list[Step], corpus: Sequence[Session], random: Random) -> list[Step]:
    at = random.randrange(len(steps) + 1)
    here = min(at, len(steps) - 1)
    match random.choice(("delete", "repeat", "swap", "splice", "end", "cut", "split", "pipeline", "insert", "pause")):
        case "delete":
            return steps[:here] + steps[here + 1 :] or steps
        case "repeat":
            return steps[:here] + [steps[here]] * random.choice((2, 2, 3, 20)) + steps[here + 1 :]
        case "swap":
            other = random.randrange(len(steps))
            steps[here], steps[other] = steps[other], steps[here]
        case "splice":
            other_steps = random.choice(corpus)
            return steps[:at] + list(other_steps[random.randrange(len(other_steps)) :])
        case "end":
            verb = random.choice((RESET, HALF_CLOSE, DEAF, DATA_RESET))
            return [*steps[:at], Step(verb), *steps[at:]]
        case "cut":
            return steps[: max(1, at)]
        case "split":
            return steps[:here] + _split(steps[here], random) + steps[here + 1 :]
        case "pipeline":
            return _pipelined(steps)
        case "insert":
            found = [step for step in random.choice(corpus) if step.verb in WITH_OCTETS]
            return steps[:at] + ([random.choice(found)] if found else []) + steps[at:]
        case "pause":
            return [*steps[:at], Step(random.choice((PAUSE, WAIT))), *steps[at:]]
    return steps


def _split(step: Step, random: Random) -> list[Step]:
    if step.verb not in (SEND, DATA) or len(step.octets) < 2:
        return [step]
    if random.random() < 0.3 and len(step.octets) < 80:
        cuts = list(range(len(step.octets) + 1))
    else:
        cuts = sorted({0, len(step.octets), *(random.randrange(len(step.octets)) for _ in range(random.randint(1, 4)))})
    pieces = [Step(step.verb, step.octets[a:b]) for a, b in itertools.pairwise(cuts)]
    return [part for piece in pieces for part in (piece, Step(PAUSE))][:-1]


def _pipelined(steps: list[Step]) -> list[Step]:
    """Return the steps with everything sent at once."""
    merged: list[Step] = []
    for step in steps:
        if step.verb in (WAIT, PAUSE):
            continue
        if step.verb == SEND and merged and merged[-1].verb == SEND:
            merged[-1] = Step(SEND, merged[-1].octets + step.octets)
        else:
            merged.append(step)
    return merged or steps


# Mutations of octets.


def _change_octets(steps: list[Step], random: Random, dialect: Dialect) -> None:
    places = [at for at, step in enumerate(steps) if step.verb in WITH_OCTETS]
    if not places:
        return
    answers = [at for at in places if steps[at].verb == ANSWER]
    at = random.choice(answers if answers and random.random() < 0.7 else places)
    step = steps[at]
    structured = dialect.answers if step.verb == ANSWER else dialect.structured
    if structured is not None and step.verb != DATA and random.random() < 0.6:
        octets = structured(step.octets, random)
    elif dialect.words and random.random() < 0.5:
        octets = _change_text(step.octets, random, dialect.words)
    else:
        octets = change_any(step.octets, random)
    limit = 65_000 if step.verb == DATAGRAM else OCTETS_MAX
    steps[at] = Step(step.verb, octets[:limit])


def _change_text(octets: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """Change a word, a number or a line end."""
    match random.choice(("word", "word", "number", "number", "end", "add", "case")):
        case "word":
            return _replace(octets, _WORD, random.choice(words), random)
        case "number":
            return _replace(octets, _NUMBER, random.choice(NUMBERS), random)
        case "end":
            return _replace(octets, re.compile(rb"\r\n"), random.choice(LINE_ENDS), random)
        case "add":
            at = random.randrange(len(octets) + 1)
            return octets[:at] + random.choice((b" ", b"", b"\r\n")) + random.choice(words) + octets[at:]
    return octets.swapcase()


def _replace(octets: bytes, pattern: re.Pattern[bytes], new: bytes, random: Random) -> bytes:
    found = list(pattern.finditer(octets))
    if not found:
        return octets
    match = random.choice(found)
    return octets[: match.start()] + new + octets[match.end() :]


def change_any(octets: bytes, random: Random) -> bytes:
    """Change octets without any knowledge of them."""
    at = random.randrange(len(octets) + 1)
    end = min(len(octets), at + random.choice((1, 1, 2, 4, 16, 100)))
    match random.choice(("flip", "flip", "octet", "delete", "repeat", "cut", "garbage", "long", "high", "nul")):
        case "flip" if octets:
            changed = bytearray(octets)
            for _ in range(random.choice((1, 1, 2, 8))):
                changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
            return bytes(changed)
        case "octet" if octets:
            changed = bytearray(octets)
            changed[random.randrange(len(changed))] = random.choice((0, 1, 0x0A, 0x0D, 0x20, 0x22, 0x7F, 0x80, 0xFF))
            return bytes(changed)
        case "delete":
            return octets[:at] + octets[end:]
        case "repeat":
            return octets[:at] + octets[at:end] * random.choice((2, 3, 50, 1000)) + octets[end:]
        case "cut":
            return octets[:at]
        case "garbage":
            return octets[:at] + random.randbytes(random.choice((1, 4, 64, 1000, 20_000))) + octets[at:]
        case "long":
            run = random.choice(
                (b"a", b"A", b"0", b" ", b"(", b'"', b"\\", b"\t", b"\xff", b"%", b".", b",", b"{", b"\r\n")
            )
            return octets[:at] + run * random.choice(LONG) + octets[at:]
        case "high":
            return octets[:at] + "é☃\u202e\U0001f600".encode() + octets[at:]
        case "nul":
            return octets[:at] + b"\0" + octets[at:]
    return octets + b"x"
