"""Progress bar for the start of a large network: counts the hosts created, then the hosts with started services."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lab7.experiments.harness.cli import common
from lab7.topologies.emulation.testbed import Testbed

# Minimum number of hosts for a progress bar; smaller networks start too fast for it to be useful.
LEAST_HOSTS = 20
LOOK_S = 0.1
# Share of the bar for the hosts; services take the rest.
HOSTS_SHARE = 0.5


@contextmanager
def start_progress(bed: Testbed) -> Iterator[None]:
    """Show a progress bar while a `with` block starts a testbed of at least LEAST_HOSTS hosts."""
    if len(bed.topo.hosts()) < LEAST_HOSTS:
        yield
        return
    ended = threading.Event()
    with common.progress("network") as step:

        def look() -> None:
            while not ended.wait(LOOK_S):
                step(*progress_of(bed))

        thread = threading.Thread(target=look, name="start progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def progress_of(bed: Testbed) -> tuple[str, float]:
    """Return the progress of a testbed's start: (text such as `30 of 100 hosts`, share from 0 to 1)."""
    total = len(bed.topo.hosts())
    serving = sum(bool(bed.topo.nodeInfo(name).get("serves")) for name in bed.topo.hosts())
    # The network is missing at first; its hosts appear, and each then has its services.
    hosts = list(bed.net.hosts) if bed.net is not None else []
    started = sum(bool(host.services) for host in hosts)
    if not started:
        return f"{len(hosts)} of {total} hosts", HOSTS_SHARE * len(hosts) / total
    return f"services of {started} of {serving} hosts", HOSTS_SHARE + (1 - HOSTS_SHARE) * started / max(1, serving)
