"""Faults of the FTP server and client: each violates its message rule and no other; without a fault there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab7.services.ftp.faults import CLIENT_FAULTS, SERVER_FAULTS
from tests.loopback.faults.support import HOST, PATIENCE_S, REPOSITORY, fault_flags, free_port, service, violated
from tests.loopback.recorder import Ends, Recorder

# The recorder listens here; to the server all clients come from HOST.
RELAY = "127.0.0.2"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10
RULES = {
    "unreachable-pasv": "ftp-passive-address",
    "image-as-ascii": "ftp-image",
    "no-preliminary": "ftp-preliminary",
    "lf-in-replies": "ftp-line-end",
}


def test_every_fault_has_a_rule() -> None:
    assert RULES.keys() == SERVER_FAULTS.keys()
    assert CLIENT_FAULTS.keys() == {"ascii-picture"}


@pytest.mark.parametrize("fault", [None, *RULES, "ascii-picture"])
def test_a_fault(fault: str | None, tmp_path: Path) -> None:
    (tmp_path / "pub").mkdir()
    (tmp_path / "pub" / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "pub" / "picture.png").write_bytes(PNG)
    data = free_port([HOST, RELAY])
    flags = ("--root", str(tmp_path / "pub"), "--passive-ports", f"{data}-{data}")
    of_server = fault if fault in SERVER_FAULTS else None
    of_client = fault if fault in CLIENT_FAULTS else None
    with service("ftp.server", *flags, *fault_flags(of_server)) as port, Recorder() as recorder:
        control = recorder.tcp((HOST, port), Ends(21, server=HOST), (RELAY, 0))
        recorder.tcp((HOST, data), Ends(data, server=HOST), (RELAY, data))
        # A time-out ends a session whose replies this client cannot read.
        command = [sys.executable, "-m", "lab7.services.ftp.client", RELAY, "--port", str(control), "--timeout", "3"]
        command += [*fault_flags(of_client), "get picture.png -"]
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False, cwd=REPOSITORY)
        captured = recorder.capture(tmp_path)
    assert done.stdout.startswith(PNG) == (fault in (None, "unreachable-pasv"))
    expected = {**RULES, "ascii-picture": "ftp-type"}
    assert violated(captured) == ({expected[fault]} if fault else set())
