"""The experiment on the web cache, with lab7's own proxy, real ones in its place, and a relay that keeps nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.harness.implementations.registry import implementations
from tests.emulation.support import PATIENCE_S, lab7, one_sentence, start_lab7

SHORT = ("web-cache", "--repeat", "1", "--set", "rtt=20ms", "--set", "objects=3")
# Decided by packets alone. W1 hangs on times as well, which a busy machine may spoil.
BY_PACKETS = ("W2", "W3", "W4", "W5", "W6", "W7")

# Passes everything on, one connection for each request, and keeps nothing.
RELAY = """
import http.client, http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.removeprefix("http://www.example.com")
        origin = http.client.HTTPConnection("www.example.com")
        origin.request("GET", path)
        response = origin.getresponse()
        body = response.read()
        self.send_response(response.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
"""
# The same with a memory that nothing ever leaves.
HOARDER = RELAY.replace("    def do_GET", "    known = {}\n\n    def do_GET").replace(
    '        origin.request("GET", path)\n        response = origin.getresponse()\n        body = response.read()\n',
    """        if path not in self.known:
            origin.request("GET", path)
            response = origin.getresponse()
            self.known[path] = response, response.read()
        response, body = self.known[path]
""",
)


def result_of(tmp_path: Path, *replace: str) -> dict[str, Any]:
    words = [word for each in replace for word in ("--replace", each)]
    run = start_lab7("run", *SHORT, *words, "--again", "0", "--json", cwd=tmp_path)
    output, errors = run.communicate(timeout=3 * PATIENCE_S)
    assert errors == b""
    result: dict[str, Any] = json.loads(output)["results"][0]
    return result


def verdicts(result: dict[str, Any]) -> dict[str, str]:
    return {claim["id"]: claim["verdict"] for claim in result["claims"]}


def own(tmp_path: Path, program: str) -> str:
    path = tmp_path / "my_proxy.py"
    path.write_text(program)
    return f"proxy={sys.executable} {path} {{port}}"


REAL = [pytest.param(name, marks=pytest.mark.slow) for name in ("squid", "nginx", "varnish")]


@pytest.mark.parametrize("name", ["lab7", *REAL])
def test_a_cache_shows_what_packets_decide(name: str, tmp_path: Path) -> None:
    if name != "lab7" and not implementations()["proxy", name].installed():
        pytest.skip(f"{name} is not installed")
    result = result_of(tmp_path, f"proxy={name}")
    found = verdicts(result)
    assert {claim: found[claim] for claim in BY_PACKETS} == dict.fromkeys(BY_PACKETS, "shown")
    assert set(found) == {"W1", *BY_PACKETS}
    phases = ["no cache", "cold", "warm", "revalidated", "changed", "changed, next client"]
    assert [one["name"] for one in result["comparisons"]] == phases
    assert (tmp_path / "results").is_dir()
    report = next((tmp_path / "results" / "web-cache").glob("*/report.html")).read_text()
    assert "staleness" in report


@pytest.mark.slow
def test_a_proxy_that_keeps_nothing_relieves_nobody(tmp_path: Path) -> None:
    found = verdicts(result_of(tmp_path, own(tmp_path, RELAY)))
    assert found["W1"] != "shown"
    assert found["W2"] == "failed"
    assert found["W3"] == "failed"
    assert found["W4"] == found["W5"] == found["W6"] == "undecided"
    assert found["W7"] == "shown"


@pytest.mark.slow
def test_a_proxy_that_never_asks_again_gives_away_what_is_too_old(tmp_path: Path) -> None:
    found = verdicts(result_of(tmp_path, own(tmp_path, HOARDER)))
    assert found["W2"] == "shown"
    assert found["W3"] == found["W5"] == found["W6"] == "failed"
    assert found["W4"] == "undecided"


def test_lifetimes_too_short_for_the_page_are_refused(tmp_path: Path) -> None:
    done = lab7("run", "web-cache", "--set", "max_age=1", cwd=tmp_path)
    assert "max_age=1 is too short" in one_sentence(done)


@pytest.mark.slow
def test_the_access_links_sum_ends_in_packets_that_agree(tmp_path: Path) -> None:
    words = ("--set", "requests=200", "--set", "objects=200", "--again", "0", "--json")
    run = start_lab7("run", "access-link", *words, cwd=tmp_path)
    output, errors = run.communicate(timeout=3 * PATIENCE_S)
    assert errors == b""
    result: dict[str, Any] = json.loads(output)["results"][0]
    assert set(verdicts(result)) == {"W1", "W2", "W8"}
    # Octets on the link are no matter of time; W1 and W8 hang on it, which a busy machine may spoil.
    assert verdicts(result)["W2"] == "shown"
    assert [one["name"] for one in result["comparisons"]] == ["slow link", "faster link", "slow link and cache"]
    assert {"internet", "queueing", "transmission", "residual"} <= set(result["comparisons"][0]["terms"])


def test_a_cache_that_would_answer_all_is_refused_in_a_sentence(tmp_path: Path) -> None:
    done = lab7("run", "access-link", "--set", "hit_rate=1.5", cwd=tmp_path)
    assert "hit_rate" in one_sentence(done)
