"""Requests from an experiment to a client process ("driver") on a host, and runs of one-shot client programs.

    driver = Driver(bed.host("client"), ["lab7.experiments.http.drivers.visitor", "10.0.0.2", "80", "www.example.com"])
    window = driver.request({"visit": ["/"]})      # load these paths

`bed` is the running network. The HTTP client `visitor` runs on its host `client`; the client's arguments are the
server's address, port and name. A window is the time span of a request: its start and its end by the capture's clock.
The protocol between experiment and driver is described in lab7.experiments.harness.driver_process.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence
from typing import Any

from lab7.experiments.harness.measurement import LoadFailedError, Window
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.virtual.alignment import align
from lab7.topologies.emulation.watch import LabDied, how_it_ended, program_of

TIMEOUT_S = 120.0
# Time-out in s of a client program that is started for one page load or transfer.
LOAD_TIMEOUT_S = 120.0


class DriverError(EmulationError):
    """Failure of a request to a client process; `window` is the time span of the failed request."""

    def __init__(self, message: str, window: Window) -> None:
        super().__init__(message)
        self.window = window


class Driver:
    """Client process on a host that executes an experiment's requests; `command` is its module and arguments."""

    def __init__(self, host: Host, command: Sequence[str]) -> None:
        self._service = host.start(command)
        # In virtual time the first request leaves at a full step of the clock, however long the start was.
        align()

    def request(self, request: Any, timeout_s: float = TIMEOUT_S) -> Window:
        """Send a request, await the response, and return the time span of the request.

        Raises DriverError, EmulationError.
        """
        return window_of(self.call(request, timeout_s))

    def call(self, request: Any, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
        """Send a request, await the client process's response, and return it. Raises DriverError, EmulationError."""
        self.send(request)
        return self.receive(timeout_s)

    def send(self, request: Any) -> None:
        """Send a request without waiting for the response."""
        self._service.write_line(json.dumps(request))

    def receive(self, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
        """Return the next response. Raises DriverError for a failed request, EmulationError after a time-out."""
        response: dict[str, Any] = json.loads(self._service.read_line(timeout_s))
        if "error" in response:
            raise DriverError(response["error"], window_of(response))
        return response

    def stop(self) -> None:
        """Stop the client process."""
        self._service.stop()


def window_of(response: dict[str, Any]) -> Window:
    """Return the time span (Window) of a request, from `began_ns` and `ended_ns` of the response."""
    return Window(response["began_ns"], response["ended_ns"])


def run_command(host: Host, words: Sequence[str]) -> Window:
    """Run a client program on a host; return its time span.

    Raises LoadFailedError for an exit code other than 0, and LabDied if a signal ended the program.
    """
    start_ns = time.time_ns()
    done = host.run(words, LOAD_TIMEOUT_S)
    end_ns = time.time_ns()
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode < 0:
        program = program_of(shlex.join(words), host.name)
        raise LabDied(f"{program} {how_it_ended(done.returncode)}{': ' + lines[-1] if lines else ''}")
    if done.returncode != 0:
        message = f"{words[0]} ended with {done.returncode}{': ' + lines[-1] if lines else ''}"
        raise LoadFailedError(message, Window(start_ns, end_ns))
    return Window(start_ns, end_ns)
