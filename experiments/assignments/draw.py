"""Pseudo-random draw of a student's parameters, determined by HMAC(course secret, assignment, student).

    draw = Draw(secret, "http-basics", "s1234567")
    rtt_ms = draw.number("rtt", 20, 200, step=10)
    name = draw.word("host")

Each value depends only on its own label, so that a new question leaves the values of all others unchanged. The
generator is HMAC-SHA-256 in counter mode (RFC 2104; NIST SP 800-108 section 4.1). Without the secret a student cannot
compute the parameters or the answer key of another student. The same secret gives the same parameters on any machine.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
# Minimum length of the course secret in octets; a shorter one could be found by trying all.
SECRET_BYTES_MIN = 16
_SEPARATOR = b"\0"
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


class SecretError(ValueError):
    """Error for a course secret that is too short; the message has a command that creates a secret."""


@dataclass(frozen=True)
class Draw:
    """Generator of a student's pseudo-random parameters in one assignment; each value depends on its label only.

    Raises SecretError for a short secret.
    """

    secret: bytes
    assignment: str
    student: str

    def __post_init__(self) -> None:
        if len(self.secret) < SECRET_BYTES_MIN:
            raise SecretError(
                f"the course secret has {len(self.secret)} octets, at least {SECRET_BYTES_MIN} are needed: "
                "make one with `(umask 077; openssl rand -hex 32 > secret)`"
            )

    def octets(self, label: str, size: int) -> bytes:
        """Return `size` pseudo-random octets that depend on `label`."""
        found = b""
        block = 0
        # Each part is preceded by its length, so that no two triples give the same HMAC input.
        parts = [part.encode() for part in (self.assignment, self.student, label)]
        context = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        while len(found) < size:
            found += hmac.digest(self.secret, block.to_bytes(4, "big") + _SEPARATOR + context, hashlib.sha256)
            block += 1
        return found[:size]

    def below(self, label: str, limit: int) -> int:
        """Return a pseudo-random number in [0, limit), with a bias below 2^-64."""
        return int.from_bytes(self.octets(label, 8 + (limit.bit_length() + 7) // 8), "big") % limit

    def number(self, label: str, low: int, high: int, step: int = 1) -> int:
        """Return a pseudo-random element of low, low + step, ..., not above `high`."""
        return low + step * self.below(label, (high - low) // step + 1)

    def choice(self, label: str, values: Sequence[T]) -> T:
        """Return a pseudo-random element of `values`."""
        return values[self.below(label, len(values))]

    def shuffled(self, label: str, values: Sequence[T]) -> list[T]:
        """Return the values in pseudo-random order (Fisher-Yates shuffle)."""
        found = list(values)
        for place in range(len(found) - 1, 0, -1):
            other = self.below(f"{label}/{place}", place + 1)
            found[place], found[other] = found[other], found[place]
        return found

    def sample(self, label: str, values: Sequence[T], count: int) -> list[T]:
        """Return `count` elements of `values`, in pseudo-random order. Raises ValueError if there are fewer values."""
        if count > len(values):
            raise ValueError(f"{count} of {len(values)} values cannot be drawn")
        return self.shuffled(label, values)[:count]

    def word(self, label: str, syllables: int = 3) -> str:
        """Return a pronounceable word in lower-case letters, such as `tobagu`, for names of hosts and objects."""
        letters = [
            alphabet[self.below(f"{label}/{place}", len(alphabet))]
            for place, alphabet in enumerate((_CONSONANTS, _VOWELS) * syllables)
        ]
        return "".join(letters)

    def hex(self, label: str, digits: int = 16) -> str:
        """Return `digits` pseudo-random hexadecimal digits."""
        return self.octets(label, (digits + 1) // 2).hex()[:digits]

    @property
    def seed(self) -> int:
        """Pseudo-random seed of the emulated network for the student's recording, below 2^31."""
        return self.below("seed", 1 << 31)

    @property
    def nonce(self) -> str:
        """The student's unique nonce of 24 hexadecimal digits, which the traffic of the student's capture contains."""
        return self.hex("nonce", 24)
