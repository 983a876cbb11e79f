"""Throughput between two hosts by iperf(1), version 2: server and client in a host each, every wait with a time limit.

In Mininet's own TCP test, a connection probes the server's port, and Mininet waits for two reports of the server, the
first for that connection. iperf 2.1 and later does not report a connection without data, so that Mininet waits for
ever. Here the listening port is found in the socket tables of the host's kernel, without a probe.
"""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab7.topologies.emulation import tools
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.process.program import Program

PORT = 5001
DURATION_S = 5
# Time in seconds that a client may need to empty the socket's buffer: 4 MiB at 1 Mbit/s take 34 s.
EXTRA_S = 60.0
# Time in seconds to wait for the server's report of a UDP test, sent after the last datagram.
REPORT_TIMEOUT_S = 5.0
POLL_S = 0.05
_RATE = re.compile(r"([\d.]+ \w*/sec)")


def measure(
    client: Any, server: Any, options: Sequence[str], *, udp_bandwidth: str | None, port: int, seconds: float
) -> list[str]:
    """Run one iperf test between two hosts; return the rates that server and client report ('9.56 Mbits/sec').

    options: further words for both programs; udp_bandwidth: rate of a UDP test, None for TCP. Raises MachineError
    without iperf, EmulationError with iperf's message if the test fails.
    """
    tools.require("iperf")
    # The address is read from the interface again, because DHCP may have assigned it.
    address = server.defaultIntf().updateIP() if server.intfs else None
    if address is None:
        raise EmulationError(f"iperf needs an IPv4 address of {server}")
    common = ["iperf", "-p", str(port), *options, *(["-u"] if udp_bandwidth is not None else [])]
    output = Path(server.workdir, f"iperf{port}.log")
    listening = Program([*common, "-s"], server.entering(), server.namespace_pid, output)
    try:
        listening.wait_listening(port, by_udp=udp_bandwidth is not None)
        rate = ["-b", udp_bandwidth] if udp_bandwidth is not None else []
        sent = client.run([*common, "-t", f"{seconds:g}", "-c", address, *rate], timeout_s=seconds + EXTRA_S)
        said = (sent.stdout + sent.stderr).decode(errors="replace")
        deadline_s = time.monotonic() + REPORT_TIMEOUT_S
        while sent.returncode == 0 and not _rates(output.read_text()) and time.monotonic() < deadline_s:
            if listening.exit_code() is not None:
                break
            # iperf's output file can only be polled, since another process writes it; the wait has a time limit.
            time.sleep(POLL_S)
    finally:
        listening.stop()
    received, transmitted = _rates(output.read_text(errors="replace")), _rates(said)
    if not received or not transmitted:
        raise EmulationError(f"iperf between {client} and {server} failed: {_reason(said, output.read_text())}")
    return [received[-1], transmitted[-1]]


def _rates(report: str) -> list[str]:
    return _RATE.findall(report)


def _reason(client: str, server: str) -> str:
    """Return the reason for an iperf test without result, from the output of client and server."""
    complaints = [line for line in [*client.splitlines(), *server.splitlines()] if "fail" in line or "WARN" in line]
    return complaints[0].strip() if complaints else "the server received no data"
