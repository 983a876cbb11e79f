"""Authoritative server: reload by SIGHUP; an invalid zone stays as it was."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import dns.message
import dns.query
import pytest

ROOT = Path(__file__).resolve().parents[3]
ZONE = """$ORIGIN example.com.
$TTL 60
@ IN SOA ns hostmaster ( {serial} 3600 900 604800 60 )
@ IN NS ns
ns IN A 127.0.0.1
www IN A {address}
"""


def address_of_www(port: int) -> str:
    query = dns.message.make_query("www.example.com.", "A")
    return str(dns.query.udp(query, "127.0.0.1", timeout=10, port=port).answer[0][0])


def next_event(server: subprocess.Popen[str]) -> str:
    assert server.stderr is not None
    while line := server.stderr.readline():
        event = json.loads(line)["event"]
        if event in ("reloaded", "zone_failed"):
            return str(event)
    raise AssertionError("the server has ended")


@pytest.mark.parametrize("processes", [1, 2])
def test_a_hangup_has_the_zones_read_again(tmp_path: Path, processes: int) -> None:
    zone = tmp_path / "example.com.zone"
    zone.write_text(ZONE.format(serial=1, address="192.0.2.1"))
    command = [sys.executable, "-m", "lab7.services.dns.authoritative", "--zone", str(zone), "--listen", "127.0.0.1"]
    command += ["--port", "0", "--log", "-", "--processes", str(processes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        assert address_of_www(port) == "192.0.2.1"
        zone.write_text(ZONE.format(serial=2, address="192.0.2.2"))
        server.send_signal(signal.SIGHUP)
        # Each process logs it.
        assert [next_event(server) for _ in range(processes)] == ["reloaded"] * processes
        assert {address_of_www(port) for _ in range(8)} == {"192.0.2.2"}
        zone.write_text("www IN A nonsense\n")
        server.send_signal(signal.SIGHUP)
        assert sorted(next_event(server) for _ in range(2 * processes)) == sorted(
            ["zone_failed", "reloaded"] * processes
        )
        assert {address_of_www(port) for _ in range(8)} == {"192.0.2.2"}
        server.terminate()
        assert server.wait(20) == 0


def test_no_process_imports_from_the_current_directory(tmp_path: Path) -> None:
    zone, marker = tmp_path / "example.com.zone", tmp_path / "imported"
    zone.write_text(ZONE.format(serial=1, address="192.0.2.1"))
    for name in ("socket", "json", "services", "asyncio"):
        (tmp_path / f"{name}.py").write_text(f"open({str(marker)!r}, 'a').write(__name__)")
    # The main process has no current directory in its import path, as a host's service does; neither must workers.
    start = (
        f"import sys; sys.path.append({str(ROOT)!r}); import lab7.services.dns.authoritative as s; s.main(sys.argv[1:])"
    )
    command = [sys.executable, "-P", "-c", start, "--zone", str(zone), "--listen", "127.0.0.1", "--port", "0"]
    with subprocess.Popen([*command, "--processes", "2"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        assert address_of_www(port) == "192.0.2.1"
        server.terminate()
        assert server.wait(20) == 0
    assert not marker.exists()
