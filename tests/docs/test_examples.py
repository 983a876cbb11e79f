"""The scripts of docs/examples that need no network: each runs, and its output is as RFCs and formulas require."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.core.experiments.harness.samples import sample_result
from tests.docs.reading import GUIDES, REPOSITORY

TIMEOUT_S = 60.0


def output(script: str, *arguments: str) -> list[str]:
    """Run a script to its end; return the lines of its standard output."""
    completed = subprocess.run(
        [sys.executable, str(REPOSITORY / "docs" / "examples" / script), *arguments],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    return completed.stdout.splitlines()


def test_a_dns_query_and_its_response_are_decoded() -> None:
    lines = output("dns_message.py")
    # RFC 1035 section 4: header 12, question 17 + 4, OPT 11; each answer 2 + 10 + 4 octets.
    assert lines[0] == "query: 44 octets, id 4711, NOERROR, flags: rd"
    assert "response: 76 octets, id 4711, NOERROR, flags: qr rd ra" in lines
    assert [line.split()[-1] for line in lines if line.startswith("  answer")] == ["192.0.2.1", "192.0.2.2"]


def test_cache_decisions_follow_freshness_and_directives() -> None:
    decisions = [line[26:].rstrip() for line in output("cache_decision.py")]
    assert decisions == [
        "serve, Age: 10, fresh",
        'forward, fwd=request, If-None-Match: "v1"',
        'forward, fwd=stale, If-None-Match: "v1"',
        "serve, Age: 90, stale",
        "fail with 504",
    ]


def test_an_smtp_transaction_delivers_to_the_accepted_recipient_only() -> None:
    lines = output("smtp_session.py")
    replies = [line.split()[1] for line in lines if line.startswith("S: ") and line[6] == " "]
    assert replies == ["220", "250", "250", "550", "250", "550", "354", "250", "221"]
    # RFC 5321 section 4.5.2: the leading dot is removed.
    assert "-- to bob@example.com: b'Subject: lunch\\r\\n\\r\\n.at noon?\\r\\n'" in lines


def test_a_result_is_read_with_its_terms(tmp_path: Path) -> None:
    sample_result().save(tmp_path)
    lines = [" ".join(line.split()) for line in output("read_results.py", str(tmp_path))]
    assert lines[0] == "http_versions, seed 7, real time, fidelity valid"
    assert "H9 shown Three requests back to back." in lines
    assert "1.1-pipelined: 3 RTT + X, ratio 1.033, within the tolerance" in lines
    assert "request 200.00 ms 200.00 ms" in lines


def test_every_script_names_its_command_and_is_listed_in_a_guide() -> None:
    guides = "".join(guide.read_text(encoding="utf-8") for guide in GUIDES)
    for script in sorted((REPOSITORY / "docs" / "examples").glob("*.py")):
        assert f"docs/examples/{script.name}" in script.read_text(encoding="utf-8"), script.name
        assert script.name in guides, script.name
