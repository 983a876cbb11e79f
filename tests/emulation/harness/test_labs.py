"""Labs of other tools run on lab7's network: a topology written for Kathara and for containerlab, and started again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulation.support import lab7

ADDRESS = "10.7.1.1"


@pytest.mark.parametrize(
    ("tool", "file"),
    [
        ("kathara", "web-kathara/lab.conf"),
        pytest.param("containerlab", "web-containerlab/web.clab.yml", marks=pytest.mark.slow),
    ],
)
def test_an_exported_lab_is_started(tool: str, file: str, tmp_path: Path) -> None:
    assert lab7("export", tool, "web", "--set", "delay=20ms", cwd=tmp_path).returncode == 0
    ping = lab7("exec", file, "client", "--", "ping", "-c", "1", ADDRESS, cwd=tmp_path)
    assert ping.returncode == 0, ping.stderr
    # The access link has 20 ms in each direction.
    (time_ms,) = (float(line.partition("time=")[2].split()[0]) for line in ping.stdout.splitlines() if "time=" in line)
    assert time_ms >= 40
