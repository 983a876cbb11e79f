"""A user agent that stays up in a host, and has a session whenever it is told to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from experiments.harness.page_client import Window
from topologies.emulation.errors import EmulationError
from topologies.emulation.node import Host

TIMEOUT_S = 120.0


class ScriptedAgent:
    """A module that follows orders: a line of JSON to it, a line of JSON with began_ns and ended_ns, or error, back."""

    def __init__(self, host: Host, words: Sequence[str]) -> None:
        self._service = host.start(words)

    def tell(self, order: Any, timeout_s: float = TIMEOUT_S) -> Window:
        """Give an order; returns when it was followed. What servers say is in the packets. Raises EmulationError."""
        self._service.write_line(json.dumps(order))
        report = json.loads(self._service.read_line(timeout_s))
        if "error" in report:
            raise EmulationError(report["error"])
        return Window(report["began_ns"], report["ended_ns"])
