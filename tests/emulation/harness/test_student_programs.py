"""Students' servers with one bug in their octets: the result names the bug, its frame, octets and RFC section, once.

Lab7's own client and resolver cannot use such servers; the claims are judged from whatever was captured.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.emulation.support import lab7
from tests.emulation.wrong import student_name_server, student_origin
from tests.emulation.wrong.support import Judged, judge, program

slow = pytest.mark.slow
NOT_STARTED = 4
ORIGIN_RULES = {
    "lf": "http-line-end",
    "long": "http-content-length",
    "short": "http-content-length",
    "decimal": "http-chunk-size",
}
NAME_SERVER_RULES = {
    "id": "dns-id",
    "rdlength": "dns-format",
    "no-qr": "dns-qr",
    "no-question": "dns-question",
    "no-glue": "dns-glue",
}
HTTP = {"rtt": "20ms", "strategies": "1.1-persistent"}


def one_violation(judged: Judged) -> dict[str, Any]:
    """The only violation; the first claim that is not shown tells of it, and no other claim does."""
    (one,) = judged.violations
    claim = next(name for name, verdict in judged.verdicts.items() if verdict != "shown")
    assert one["claim"] == claim
    assert judged.verdicts[claim] == "failed"
    assert [name for name, text in judged.evidence.items() if one["section"] in text] == [claim]
    assert f"Frame {one['frame']}, octet {one['offset']}" in judged.evidence[claim]
    assert f"correct: {one['expected'].rstrip('.')}." in judged.evidence[claim]
    assert bytes.fromhex(one["octets"])
    assert judged.code == 1
    return dict(one)


def test_every_bug_is_tried() -> None:
    assert {"none", "crash", *ORIGIN_RULES} == student_origin.BUGS.keys()
    assert {"none", *NAME_SERVER_RULES} == student_name_server.BUGS.keys()


@slow
@pytest.mark.parametrize("bug", ORIGIN_RULES)
def test_an_origin_with_a_bug(bug: str, tmp_path: Path) -> None:
    judged = judge("http-versions", {"origin": program("student_origin.py", bug, "{port}", "{root}")}, HTTP, tmp_path)
    assert one_violation(judged)["rule"] == ORIGIN_RULES[bug]


@slow
def test_a_correct_origin_violates_nothing(tmp_path: Path) -> None:
    origin = program("student_origin.py", "none", "{port}", "{root}")
    judged = judge("http-versions", {"origin": origin}, HTTP, tmp_path)
    assert judged.violations == ()
    assert {judged.verdicts[claim] for claim in ("H1", "H2", "H3", "H4")} == {"shown"}


@slow
def test_the_last_words_of_an_origin_are_kept(tmp_path: Path) -> None:
    origin = program("student_origin.py", "crash", "{port}", "{root}")
    judged = judge("http-versions", {"origin": origin}, HTTP, tmp_path)
    (last_line,) = judged.programs.values()
    assert last_line.startswith("KeyError: ")
    (log,) = (tmp_path / "results" / "http-versions").glob("*/program-origin.log")
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize(
    "bug", ["no-glue", *(pytest.param(one, marks=slow) for one in NAME_SERVER_RULES if one != "no-glue")]
)
def test_a_name_server_with_a_bug(bug: str, tmp_path: Path) -> None:
    server = program("student_name_server.py", bug, "{port}", "{zone_files}")
    judged = judge("dns-records", {"authoritative": server}, {"scale": 0.1, "queries": 12}, tmp_path)
    assert one_violation(judged)["rule"] == NAME_SERVER_RULES[bug]


@slow
def test_a_correct_name_server_violates_nothing(tmp_path: Path) -> None:
    server = program("student_name_server.py", "none", "{port}", "{zone_files}")
    judged = judge("dns-records", {"authoritative": server}, {"scale": 0.1, "queries": 12}, tmp_path)
    assert judged.violations == ()


@slow
def test_a_name_server_that_ends_leaves_a_result(tmp_path: Path) -> None:
    (tmp_path / "once.py").write_text(
        "import socket, sys, time\n"
        "peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "peer.bind(('', int(sys.argv[1])))\n"
        "data, source = peer.recvfrom(4096)\n"
        "peer.sendto(data[:2] + b'\\x01' + data[3:], source)\n"
        "time.sleep(1)\n"
        "raise IndexError('no such record')\n"
    )
    settings = {"scale": 0.1, "queries": 12}
    judged = judge("dns-records", {"authoritative": "python3 once.py {port}"}, settings, tmp_path)
    assert one_violation(judged)["rule"] == "dns-qr"
    assert all("IndexError: no such record" in text for text in judged.evidence.values())


def test_a_program_that_does_not_start_has_an_exit_code_and_json_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text("print('before')\nraise ValueError('no such folder')\n")
    words = ("run", "http-versions", "--again", "0", "--repeat", "1", "--set", "strategies=1.0-serial", "--json")
    done = lab7(*words, "--replace", "origin=python3 early.py {port}", cwd=tmp_path)
    assert done.returncode == NOT_STARTED
    told = json.loads(done.stdout)
    assert told["results"] == []
    error = told["error"]
    assert (error["kind"], error["exit_status"]) == ("program-not-started", 1)
    assert error["message"].endswith("before it listened on port 80: ValueError: no such folder")
    kept = (tmp_path / error["output"]).read_text()
    assert "before" in kept
    assert "Traceback" in kept
    assert "exit status 1" in done.stderr


def test_a_run_with_a_fault_is_marked_and_explained(tmp_path: Path) -> None:
    words = ["run", "http-versions", "--again", "0", "--repeat", "1", "--set", "strategies=1.1-persistent"]
    words += ["--set", "rtt=20ms", "--json", "--links", "wire", "--fault", "origin=body-in-304"]
    done = lab7(*words, "--fault", "origin=silent-close", cwd=tmp_path)
    (result,) = json.loads(done.stdout)["results"]
    assert result["faults"] == {"origin": ["body-in-304", "silent-close"]}
    assert [one["rule"] for one in result["violations"]] == ["http-persistence"]
    (report,) = (tmp_path / "results" / "http-versions").glob("*/report.html")
    assert "show faults on purpose: body-in-304, silent-close" in report.read_text()
