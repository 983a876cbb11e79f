"""A host with one service is one process; its namespaces outlive that process, and a new one takes its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab7.topologies.emulation.process.launcher import Service
from tests.emulation.processes import descendants
from tests.emulation.support import pair


def namespace_of(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/net")


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
