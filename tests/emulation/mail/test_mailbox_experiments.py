"""The experiments on outages and access to mail: with lab7's servers, with real ones, and with those that are wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.harness.fidelity.disturbance import TERMS
from lab7.experiments.harness.implementations.registry import ACCESS_ROLE, AGENT_ROLE, MTA_ROLE, implementations
from lab7.experiments.harness.judge.frames import read_capture
from tests.emulation.support import PATIENCE_S, lab7, one_sentence, start_lab7

ACCESS_RUN = ("mail-access", "--repeat", "1", "--set", "rtt=10ms", "--set", "messages=10")
OUTAGE_RUN = ("mail-outage", "--set", "rtt=20ms", "--set", "messages=8", "--set", "down=2s")
ACCESS_CLAIMS = ["M1", "M2", "M3", "M4"]
WAYS = [
    f"{protocol} {task}" for task in ("headers", "attachment", "everything") for protocol in ("POP3", "IMAP", "webmail")
]
# Takes every message and keeps none.
SWALLOWS = """
import socketserver, sys, threading

class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 yes\\r\\n")
        in_data = False
        for line in self.rfile:
            if in_data and line != b".\\r\\n":
                continue
            verb, in_data = b"." if in_data else line.split()[0].upper(), False
            in_data = verb == b"DATA"
            said = {b"DATA": b"354 go on\\r\\n", b"QUIT": b"221 bye\\r\\n"}
            self.wfile.write(said.get(verb, b"250 yes\\r\\n"))
            if verb == b"QUIT":
                return

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

for port in sys.argv[1:]:
    threading.Thread(target=Server(("", int(port)), Session).serve_forever).start()
"""
# Lets everybody in by POP3, whatever the password, and has one message that comes back however often it is deleted.
OPEN_DOOR = """
import socketserver, sys, threading

class Pop3(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"+OK\\r\\n")
        for line in self.rfile:
            verb, *rest = line.split()
            verb = verb.upper()
            lines = verb in (b"RETR", b"TOP") or (verb == b"LIST" and not rest)
            said = b"+OK 1 20\\r\\n" + (b"1 20\\r\\n.\\r\\n" if lines else b"")
            self.wfile.write(said)
            if verb == b"QUIT":
                return

class Imap(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"* OK\\r\\n")
        for line in self.rfile:
            tag, verb, *rest = line.split()
            said = {b"SELECT": b"* 1 EXISTS\\r\\n", b"EXAMINE": b"* 1 EXISTS\\r\\n", b"SEARCH": b"* SEARCH 1\\r\\n"}
            said |= {b"CAPABILITY": b"* CAPABILITY IMAP4rev1\\r\\n", b"LOGOUT": b"* BYE\\r\\n"}
            self.wfile.write(said.get(verb.upper(), b"") + tag + b" OK yes\\r\\n")
            if verb.upper() == b"LOGOUT":
                return

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

for port, handler in zip(sys.argv[1:], (Imap, Pop3)):
    threading.Thread(target=Server(("", int(port)), handler).serve_forever).start()
"""
Result = dict[str, Any]


def result_of(tmp_path: Path, *words: str) -> Result:
    run = start_lab7("run", *words, "--json", cwd=tmp_path)
    output, errors = run.communicate(timeout=6 * PATIENCE_S)
    assert errors == b""
    result: Result = json.loads(output)["results"][0]
    return result


def verdicts(result: Result) -> dict[str, str]:
    return {claim["id"]: claim["verdict"] for claim in result["claims"]}


def evidence(result: Result) -> dict[str, str]:
    return {claim["id"]: claim["evidence"] for claim in result["claims"]}


def needs(*programs: tuple[str, str]) -> None:
    for role, name in programs:
        if not implementations()[role, name].installed():
            pytest.skip(f"{name} is not installed")


def replaced(*programs: tuple[str, str]) -> list[str]:
    return [word for role, name in programs for word in ("--replace", f"{role}={name}")]


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("access")
    return result_of(folder, *ACCESS_RUN), folder


def test_a_mailbox_is_read_in_three_ways_and_shows_what_packets_decide(access: tuple[Result, Path]) -> None:
    result, _ = access
    assert verdicts(result) == dict.fromkeys(ACCESS_CLAIMS, "shown"), evidence(result)
    assert all(claim["frames"] for claim in result["claims"])
    assert [one["name"] for one in result["comparisons"]] == WAYS
    for one in result["comparisons"]:
        # A theory that counts one round trip too many would be above what was measured.
        assert one["ratio"] > 0.99, one["name"]
        assert set(TERMS) <= set(one["terms"])
        assert one["disturbed"] is not None
    assert "IMAP moves" in evidence(result)["M2"]


def test_the_report_shows_octets_and_round_trips(access: tuple[Result, Path]) -> None:
    (report,) = (access[1] / "results" / "mail-access").glob("*/report.html")
    page = report.read_text(encoding="utf-8")
    for text in ("<svg", "(6 + n) RTT", "7 RTT + slow start", "kilobytes moved", "farewell", "M4"):
        assert text in page
    capture = read_capture(report.with_name("capture.pcapng"))
    assert max(frame for claim in access[0]["claims"] for frame in claim["frames"]) <= len(capture.frames)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("programs", "other"),
    [
        ([(ACCESS_ROLE, "dovecot")], {}),
        ([(MTA_ROLE, "exim"), (ACCESS_ROLE, "dovecot")], {}),
        # It takes mail by the network that it comes from, and webmail logs in.
        ([(MTA_ROLE, "postfix")], {"M3": "undecided"}),
    ],
    ids=["dovecot", "exim and dovecot", "postfix"],
)
def test_real_servers_show_the_same(tmp_path: Path, programs: list[tuple[str, str]], other: dict[str, str]) -> None:
    needs(*programs)
    result = result_of(tmp_path, *ACCESS_RUN, *replaced(*programs))
    assert verdicts(result) == dict.fromkeys(ACCESS_CLAIMS, "shown") | other, evidence(result)


@pytest.mark.slow
def test_a_mailbox_that_lets_everybody_in_is_found_out(tmp_path: Path) -> None:
    program = tmp_path / "open.py"
    program.write_text(OPEN_DOOR)
    words = ("--replace", f"mailbox={sys.executable} {program} {{port}} {{pop3_port}}")
    found = verdicts(result_of(tmp_path, *ACCESS_RUN, *words))
    assert found["M1"] == "failed"
    assert found["M2"] == "failed"


@pytest.mark.slow
def test_nothing_is_lost_in_outages_of_every_kind(tmp_path: Path) -> None:
    result = result_of(tmp_path, *OUTAGE_RUN)
    said = evidence(result)["S5"]
    assert verdicts(result) == {"S5": "shown"}, said
    for part in (
        "(RST",
        "(no answer",
        "killed with 8 in its queue, before the return",
        "8 delivery status notifications of failure",
    ):
        assert part in said
    assert [one["formula"] for one in result["comparisons"]] == ["6 RTT + wait", "time-out + wait + 5 RTT"]
    assert all(set(TERMS) <= set(one["terms"]) for one in result["comparisons"])
    (report,) = (tmp_path / "results" / "mail-outage").glob("*/report.html")
    assert "attempts that fail" in report.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["postfix", "exim"])
def test_a_real_server_loses_nothing_either(tmp_path: Path, name: str) -> None:
    needs((MTA_ROLE, name))
    # They look through their queues once an interval, so that they try less often.
    result = result_of(tmp_path, *OUTAGE_RUN, "--set", "down=3s", *replaced((MTA_ROLE, name)))
    assert verdicts(result) == {"S5": "shown"}, evidence(result)


@pytest.mark.slow
def test_a_real_client_hands_in(tmp_path: Path) -> None:
    needs((AGENT_ROLE, "curl"))
    words = ("--set", "case=link", *replaced((AGENT_ROLE, "curl")))
    result = result_of(tmp_path, *OUTAGE_RUN, *words)
    assert verdicts(result) == {"S5": "shown"}, evidence(result)
    assert result["implementations"][AGENT_ROLE].startswith("curl ")


def test_a_client_that_cannot_send_is_refused(tmp_path: Path) -> None:
    needs((AGENT_ROLE, "mpop"))
    done = lab7("run", *OUTAGE_RUN, *replaced((AGENT_ROLE, "mpop")), cwd=tmp_path)
    assert "mpop does not support this operation (send); clients that do: swaks, curl" in one_sentence(done)


@pytest.mark.slow
def test_a_server_that_swallows_messages_is_found_out(tmp_path: Path) -> None:
    program = tmp_path / "swallows.py"
    program.write_text(SWALLOWS)
    words = ("--replace", f"mta={sys.executable} {program} {{port}} {{submission_port}}", "--set", "case=link")
    result = result_of(tmp_path, *OUTAGE_RUN, *words)
    assert verdicts(result) == {"S5": "failed"}, evidence(result)


@pytest.mark.slow
def test_no_cell_of_the_matrix_fails_for_an_unknown_cause(tmp_path: Path) -> None:
    run = start_lab7("matrix", "mail", "--json", cwd=tmp_path)
    output, errors = run.communicate(timeout=15 * PATIENCE_S)
    assert errors == b""
    printed = json.loads(output)
    failing = [cell for cell in printed["cells"] if cell["verdict"] == "fail" and not cell["known_cause"]]
    assert failing == []
    ours = [cell for cell in printed["cells"] if cell["server"] == "lab7" and cell["verdict"] in ("pass", "fail")]
    assert len(ours) > 10
    assert all(cell["verdict"] == "pass" and cell["frames"] for cell in ours)
