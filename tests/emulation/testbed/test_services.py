"""Services of hosts: READY is awaited, a failure says what it said, an end is reported."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.process.launcher import Service
from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.support import pair


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("www")
    (folder / "index.html").write_text("hello")
    return folder


@pytest.fixture(scope="module")
def bed(root: Path) -> Iterator[Testbed]:
    with pair(
        [f"lab7.services.http.origin --root {root} --listen 0.0.0.0 --port {port}" for port in (80, 8080)]
    ) as running:
        yield running


def page(bed: Testbed, url: str) -> bytes:
    return bytes(bed.host("client").run(["curl", "-sS", "--max-time", "20", url]).stdout)


def test_what_a_topology_serves_is_ready_when_the_testbed_is(bed: Testbed) -> None:
    ready = [service.ready_line for service in bed.services["server"] if isinstance(service, Service)]
    assert ready == ["READY http 0.0.0.0:80", "READY http 0.0.0.0:8080"]
    assert page(bed, "http://www.example.com/") == b"hello"
    assert page(bed, "http://www.example.com:8080/") == b"hello"


def test_a_service_runs_in_its_host_only(bed: Testbed) -> None:
    assert bed.host("server").run(["curl", "-s", "http://127.0.0.1/"]).returncode == 0
    assert bed.host("client").run(["curl", "-s", "http://127.0.0.1/"]).returncode == 7


def test_a_service_that_fails_at_start_says_why(bed: Testbed) -> None:
    with pytest.raises(EmulationError) as raised:
        bed.host("server").start("lab7.services.http.origin --root /nowhere --port 81")
    said = str(raised.value)
    assert said == (
        "`lab7.services.http.origin --root /nowhere --port 81` of host server ended with exit status 2 "
        "before it was READY: http: --root /nowhere is not a directory"
    )


def test_a_port_that_is_taken_is_said(bed: Testbed, root: Path) -> None:
    with pytest.raises(EmulationError, match=r"port 80 on 0\.0\.0\.0 is in use"):
        bed.host("server").start(f"lab7.services.http.origin --root {root} --listen 0.0.0.0 --port 80")


def test_a_wrong_flag_is_said(bed: Testbed) -> None:
    with pytest.raises(EmulationError, match="--no-such-flag"):
        bed.host("server").start("lab7.services.http.origin --root / --no-such-flag")


def test_a_module_that_does_not_exist_is_said(bed: Testbed) -> None:
    with pytest.raises(EmulationError, match=r"^there is no module lab7\.services\.http\.orgin"):
        bed.host("server").start("lab7.services.http.orgin")


def test_a_service_that_never_gets_ready_is_given_up(bed: Testbed) -> None:
    service = bed.host("server").start("lab7.experiments.http.drivers.loader", wait=False)
    service.wait_ready()
    with pytest.raises(
        EmulationError,
        match=r"^`lab7\.experiments\.http\.drivers\.loader` of host server printed no line within 0\.1 s",
    ):
        service.read_line(0.1)
    service.stop()


def test_a_stopped_service_ends_well(bed: Testbed, root: Path) -> None:
    service = bed.host("server").start(f"lab7.services.http.origin --root {root} --listen 0.0.0.0 --port 82")
    assert service.exit_code() is None
    service.stop()
    service.stop()
    assert service.exit_code() == 0
    assert page(bed, "http://www.example.com:82/") == b""


def test_a_killed_service_is_reported(bed: Testbed, root: Path) -> None:
    service = bed.host("server").start(f"lab7.services.http.origin --root {root} --listen 0.0.0.0 --port 83")
    service.kill()
    assert service.exit_code() == -signal.SIGKILL
    assert page(bed, "http://www.example.com/") == b"hello"


def test_a_program_that_is_no_module_is_ready_when_it_listens(bed: Testbed, root: Path) -> None:
    words = [sys.executable, "-m", "http.server", "--directory", str(root), "8099"]
    program = bed.host("server").start_program(words, 8099)
    assert page(bed, "http://www.example.com:8099/") == b"hello"
    program.stop()
    assert program.exit_code() is not None


def test_a_program_that_ends_at_once_is_said_with_its_last_words(bed: Testbed) -> None:
    with pytest.raises(
        EmulationError, match=r"of host server ended with exit status 9 before it listened on port 81: out of luck$"
    ):
        bed.host("server").start_program(["sh", "-c", "echo out of luck >&2; exit 9"], 81)


def test_a_program_that_does_not_exist_is_said(bed: Testbed) -> None:
    with pytest.raises(EmulationError, match=r"no/such/program"):
        bed.host("server").start_program(["/no/such/program"], 80)
