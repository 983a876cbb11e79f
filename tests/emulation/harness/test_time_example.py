"""The worked example of docs/extending.md, run as the guide runs it."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from tests.emulation.support import REPOSITORY, lab7

EXAMPLE = REPOSITORY / "docs" / "examples" / "time"


def test_the_experiment_shows_its_own_claims(tmp_path: Path) -> None:
    done = lab7("run", str(EXAMPLE / "time_experiment.py"), "--json", "--repeat", "2", cwd=tmp_path)
    assert done.stderr == ""
    (result,) = json.loads(done.stdout)["results"]
    verdicts = {claim["id"]: claim["verdict"] for claim in result["claims"]}
    # T3 hangs on times, which a busy machine may spoil.
    assert {name: verdicts[name] for name in ("T1", "T2")} == {"T1": "shown", "T2": "shown"}
    assert [one["name"] for one in result["comparisons"]] == ["udp", "tcp"]
    assert all(len(one["samples_s"]) == 2 for one in result["comparisons"])
    (report,) = (tmp_path / "results" / "time").glob("*/report.html")
    assert "nobody asks: once connected" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize("flags", [["-p"], ["-u", "-p"]], ids=["tcp", "udp"])
def test_a_client_that_nobody_here_wrote_reads_the_time(flags: list[str], tmp_path: Path) -> None:
    if shutil.which("rdate") is None:
        pytest.skip("rdate is not installed")
    words = ("exec", str(EXAMPLE / "time_topology.py"), "client", "--", "rdate", *flags, "time.example.com")
    done = lab7(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    read_s = time.mktime(time.strptime(done.stdout.strip().replace("UTC", ""), "%a %b %d %H:%M:%S %Y"))
    assert abs(read_s - time.time()) < 60
