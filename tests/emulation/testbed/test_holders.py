"""A host with one service is one process; its namespaces outlive that process, and a new one takes its place."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from mininet.topo import Topo

from lab7.topologies.emulation.process.launcher import Service
from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.processes import descendants
from tests.emulation.support import pair


def namespace_of(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/net")


def private_dirty_kib(pid: int) -> int:
    """Return the memory that a process has written to and shares with no other process; proc_pid_smaps(5)."""
    found = re.search(r"^Private_Dirty: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_namespaces_outlive_the_service_that_held_them(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("hello")
    with pair(f"lab7.services.http.origin --root {tmp_path} --listen 0.0.0.0 --port 80") as bed:
        client, server = bed.host("client"), bed.host("server")
        (service,) = bed.services["server"]
        assert isinstance(service, Service)
        network = namespace_of(server.namespace_pid)
        inside = [each.pid for each in descendants(os.getpid()) if each.lives and namespace_of(each.pid) == network]
        assert inside == [service.pid] == [server.pid]
        service.stop()
        address = server.run(["ip", "-br", "-4", "address", "show", "server-eth0"]).stdout
        assert b"/24" in address
        assert server.pid != service.pid
        assert namespace_of(server.pid) == network
        bed.restart("server")
        assert client.run(["curl", "-s", "http://www.example.com/"]).stdout == b"hello"
        assert namespace_of(bed.services["server"][0].pid) == network


def test_a_second_service_is_a_process_of_its_own(tmp_path: Path) -> None:
    lines = [f"lab7.services.http.origin --root {tmp_path} --listen 0.0.0.0 --port {port}" for port in (80, 8080)]
    with pair(lines) as bed:
        first, second = bed.services["server"]
        assert first.pid != second.pid
        assert namespace_of(first.pid) == namespace_of(second.pid)
        first.stop()
        with pytest.raises(ProcessLookupError):
            os.kill(first.pid, 0)
        assert second.exit_code() is None


def test_services_share_most_of_their_memory_with_the_fork_server(tmp_path: Path) -> None:
    topo = Topo()
    topo.addSwitch("s1")
    for number in range(1, 9):
        serves = f"lab7.services.http.origin --root {tmp_path} --listen 0.0.0.0 --port 80"
        topo.addLink(topo.addHost(f"h{number}", ip=f"10.0.0.{number}/24", serves=serves), "s1")
    with Testbed(topo) as bed:
        pids = [service.pid for services in bed.services.values() for service in services]
        own_kib = [private_dirty_kib(pid) for pid in pids]
    # Of about 25 MiB. Without the rehearsal in the fork server it was 5 MiB.
    assert sum(own_kib) / len(own_kib) < 4.4 * 1024
