"""Helper functions for the evidence texts of claims on mail: short SHA-256 digests, and numbers of octets."""

from __future__ import annotations

import hashlib
from typing import Any

from lab7.experiments.harness.judge.dialogue import Dialogue
from lab7.experiments.harness.judge.frames import Connection


def digest(octets: bytes) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of octets, for evidence texts."""
    return hashlib.sha256(octets).hexdigest()[:12]


def octets_of(session: Dialogue[Any, Any]) -> int:
    """Return the number of octets of a session in both directions, without packet headers."""
    return connection_octets(session.connection)


def connection_octets(connection: Connection) -> int:
    """Return the number of octets of a TCP connection in both directions, without packet headers."""
    return len(connection.from_client.stream.data) + len(connection.from_server.stream.data)
