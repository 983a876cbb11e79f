"""The experiment on persistent connections: what its packets decide, on a clock of any speed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.emulation.support import PATIENCE_S, start_lab7


@pytest.mark.slow
def test_connections_are_kept_or_closed_each_by_its_own_time_out(tmp_path: Path) -> None:
    words = ["run", "http-keep-alive", "--again", "0", "--set", "rtt=10ms", "--set", "idle=2", "--json"]
    output, errors = start_lab7(*words, cwd=tmp_path).communicate(timeout=2 * PATIENCE_S)
    assert errors == b""
    (result,) = json.loads(output)["results"]
    said = {claim["id"]: claim["evidence"] for claim in result["claims"]}
    # Their verdicts are about time as well, which the machine may have disturbed.
    assert "carry two requests each, 2 s apart" in said["K1"]
    assert "(time-out 1 s); the next request is the first one on another connection" in said["K2"]
    assert "the proxy's connection to the origin is closed in between" in said["K3"]
    assert len(result["comparisons"]) == 3
    kept, closed, proxied = (one["theory_s"] for one in result["comparisons"])
    assert kept < closed
    assert kept < proxied
