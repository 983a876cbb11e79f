"""The experiments on mail: what packets decide with lab7's servers, with real ones, and with one that is wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.harness.implementations.registry import ACCESS_ROLE, MTA_ROLE, implementations
from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.mail.claims.replies import CODES
from tests.emulation.support import PATIENCE_S, lab7, one_sentence, start_lab7

NEAR = ("rtt=10ms", "near=2ms", "far=4ms", "names=2ms")
STORY_RUN = ("mail-story", "--repeat", "1", *(word for one in NEAR for word in ("--set", one)))
STORY_CLAIMS = ["S1", "S2", "S3", "S4", "S7", "S8", "S9", "S10", "S11"]
# Takes every message as it comes, dots and all, and never hangs up.
SLOPPY = """
import pathlib, socketserver, sys

NEW = pathlib.Path(sys.argv[2])
for name in ("cur", "new", "tmp"):
    (NEW / name).mkdir(parents=True, exist_ok=True)

class Session(socketserver.StreamRequestHandler):
    number = 0

    def say(self, line):
        self.wfile.write(line + b"\\r\\n")

    def handle(self):
        self.say(b"220 sloppy")
        for line in self.rfile:
            verb = line.split()[0].upper()
            if verb == b"DATA":
                self.say(b"354 go on")
                self.keep()
            self.say(b"221 bye" if verb == b"QUIT" else b"250 yes")

    def keep(self):
        lines = []
        while (line := self.rfile.readline()) not in (b".\\r\\n", b""):
            lines.append(line)
        Session.number += 1
        (NEW / "tmp" / str(Session.number)).write_bytes(b"".join(lines))
        (NEW / "tmp" / str(Session.number)).rename(NEW / "new" / f"{Session.number}.sloppy")

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

Server(("", int(sys.argv[1])), Session).serve_forever()
"""
Result = dict[str, Any]


def result_of(tmp_path: Path, *words: str) -> Result:
    run = start_lab7("run", *words, "--json", cwd=tmp_path)
    output, errors = run.communicate(timeout=3 * PATIENCE_S)
    assert errors == b""
    result: Result = json.loads(output)["results"][0]
    return result


def verdicts(result: Result) -> dict[str, str]:
    return {claim["id"]: claim["verdict"] for claim in result["claims"]}


def evidence(result: Result) -> dict[str, str]:
    return {claim["id"]: claim["evidence"] for claim in result["claims"]}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("story")
    return result_of(folder, *STORY_RUN), folder


def test_a_picture_gets_from_alice_to_bob_and_shows_what_packets_decide(story: tuple[Result, Path]) -> None:
    result, _ = story
    assert verdicts(result) == dict.fromkeys(STORY_CLAIMS, "shown"), evidence(result)
    assert all(claim["frames"] for claim in result["claims"])
    formulas = {one["name"]: one["formula"] for one in result["comparisons"]}
    assert formulas == {
        "queue": "DNS + 8 RTT + X",
        "connect": "DNS + 2 RTT",
        "transfer": "3 RTT + X",
        "read": "DNS + 5 RTT + X",
        "pipelined, together": "(4 + 2n) RTT + X",
        "pipelined, apart": "6n RTT + X",
        "one by one, together": "(4 + 4n) RTT + X",
        "one by one, apart": "8n RTT + X",
    }


def test_no_step_is_faster_than_its_round_trips(story: tuple[Result, Path]) -> None:
    for one in story[0]["comparisons"]:
        # A theory that counts one round trip too many would be above what was measured.
        assert one["ratio"] > 0.99, one["name"]
        assert one["terms"]["dialogue"] >= 0.99 * one["theory_terms"]["dialogue"], one["name"]


def test_the_report_shows_times_and_claims(story: tuple[Result, Path]) -> None:
    (report,) = (story[1] / "results" / "mail-story").glob("*/report.html")
    page = report.read_text(encoding="utf-8")
    for text in ("<svg", "(4 + 2n) RTT + X", "pipelined, together", "tcp handshake", "S11"):
        assert text in page
    capture = read_capture(report.with_name("capture.pcapng"))
    assert max(frame for claim in story[0]["claims"] for frame in claim["frames"]) <= len(capture.frames)


def test_letters_that_come_too_slowly_are_refused(tmp_path: Path) -> None:
    done = lab7("run", "mail-story", "--set", "near=60ms", cwd=tmp_path)
    assert "near must be at most half of rtt" in one_sentence(done)


@pytest.mark.slow
def test_every_code_has_its_cause(tmp_path: Path) -> None:
    result = result_of(tmp_path, "smtp-replies")
    assert verdicts(result) == {"S6": "shown"}, evidence(result)
    assert all(f"{code}: " in evidence(result)["S6"] for code in CODES)


@pytest.mark.slow
@pytest.mark.parametrize(("role", "name"), [(MTA_ROLE, "postfix"), (ACCESS_ROLE, "dovecot")])
def test_a_real_server_shows_the_same(tmp_path: Path, role: str, name: str) -> None:
    if not implementations()[role, name].installed():
        pytest.skip(f"{name} is not installed")
    result = result_of(tmp_path, *STORY_RUN, "--replace", f"{role}={name}")
    assert verdicts(result) == dict.fromkeys(STORY_CLAIMS, "shown"), evidence(result)


@pytest.mark.slow
def test_a_server_that_keeps_dots_and_connections_is_found_out(tmp_path: Path) -> None:
    program = tmp_path / "sloppy.py"
    program.write_text(SLOPPY)
    replaced = f"mta={sys.executable} {program} {{port}} {{maildirs}}/example.com/bob"
    result = result_of(tmp_path, *STORY_RUN, "--replace", replaced)
    found = verdicts(result)
    assert found["S10"] == "failed", evidence(result)
    assert found["S11"] == "failed", evidence(result)
    assert "the client closes first" in evidence(result)["S10"]
    assert found["S2"] == "shown", evidence(result)
