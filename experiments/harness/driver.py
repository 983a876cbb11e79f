"""A user agent that stays up in a host, and has a session whenever it is told to."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence
from typing import Any

from experiments.harness.measurement import LoadFailedError, Window
from topologies.emulation.errors import EmulationError
from topologies.emulation.node import Host
from topologies.emulation.watch import LabDied, how_it_ended, program_of

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


LOAD_TIMEOUT_S = 120.0


def run_command(host: Host, words: Sequence[str]) -> Window:
    """Run one client program to its end; returns when it ran. Raises LoadFailedError, and LabDied if it was killed."""
    start_ns = time.time_ns()
    done = host.run(words, LOAD_TIMEOUT_S)
    end_ns = time.time_ns()
    said = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode < 0:
        program = program_of(shlex.join(words), host.name)
        raise LabDied(f"{program} {how_it_ended(done.returncode)}{': ' + said[-1] if said else ''}")
    if done.returncode != 0:
        message = f"{words[0]} ended with {done.returncode}{': ' + said[-1] if said else ''}"
        raise LoadFailedError(message, Window(start_ns, end_ns))
    return Window(start_ns, end_ns)
