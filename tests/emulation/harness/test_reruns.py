"""`lab7 run --again`: a run whose times lie outside the tolerance is repeated, each in a folder of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.emulation.support import lab7

# Every response comes half a second late: far outside, on any machine.
SLOW = """
import functools, http.server, sys, time

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.5)
        super().do_GET()

handler = functools.partial(Handler, directory=sys.argv[2])
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), handler).serve_forever()
"""
SHORT = ("run", "http-versions", "--repeat", "1", "--set", "rtt=20ms", "--set", "strategies=1.0-serial")


def words(folder: Path, *more: str) -> list[str]:
    (folder / "slow.py").write_text(SLOW)
    command = f"origin={sys.executable} {folder}/slow.py {{port}} {{root}}"
    return [*SHORT, "--replace", command, *more]


@pytest.mark.slow
def test_a_time_outside_the_tolerance_is_measured_again_and_stays_open(tmp_path: Path) -> None:
    done = lab7(*words(tmp_path, "--again", "1"), cwd=tmp_path)
    assert done.returncode == 1
    assert "http-versions is run again (1 of at most 1): H6 failed; 1.0-serial at" in done.stdout
    # A busy machine adds a line for the fidelity.
    closing = done.stdout.partition("claims shown; not shown:\n")[2].splitlines()
    assert [row.split(":")[0] for row in closing if " H" in row] == ["  http-versions H6 failed"]
    found = [json.loads(path.read_text()) for path in (tmp_path / "results").glob("*/*/result.json")]
    assert sorted(one["attempt"] for one in found) == [1, 2]


@pytest.mark.slow
def test_without_reruns_there_is_one_run(tmp_path: Path) -> None:
    done = lab7(*words(tmp_path, "--again", "0", "--json"), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    (result,) = json.loads(done.stdout)["results"]
    assert result["attempt"] == 1
    assert len(list((tmp_path / "results").glob("*/*/result.json"))) == 1
