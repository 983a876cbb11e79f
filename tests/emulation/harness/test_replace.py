"""`lab7 run --replace`: real servers and clients, and a person's own program, face the same checks as lab7's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.harness.implementations.registry import implementations
from lab7.topologies.emulation import tools
from tests.emulation.support import lab7, lab7_with_programs, one_sentence

SHOWN, FAILED, USAGE, CANNOT, NOT_STARTED = 0, 1, 2, 3, 4
SHORT = (
    "run",
    "http-versions",
    "--again",
    "0",
    "--repeat",
    "1",
    "--set",
    "rtt=20ms",
    "--set",
    "strategies=1.0-serial,1.1-persistent",
)
# Decided by packets alone. H6 and H8 hang on times as well, which a busy machine may spoil.
BY_PACKETS = {"H1", "H2", "H3", "H4", "H5"}

GOOD = """
import argparse, functools, http.server

class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

options = argparse.ArgumentParser()
options.add_argument("--port", type=int)
options.add_argument("--root")
asked = options.parse_args()
handler = functools.partial(Handler, directory=asked.root)
http.server.ThreadingHTTPServer(("", asked.port), handler).serve_forever()
"""
NONSENSE = """
import socketserver, sys

class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(65536)
        self.request.sendall(b"what is this?\\r\\n\\r\\n")

socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("", int(sys.argv[1])), Handler).serve_forever()
"""


def run(folder: Path, *replace: str) -> subprocess.CompletedProcess[str]:
    words = [word for each in replace for word in ("--replace", each)]
    return lab7(*SHORT, *words, "--json", cwd=folder)


def result_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stderr == ""
    (result,) = json.loads(done.stdout)["results"]
    found: dict[str, Any] = result
    return found


def verdicts(result: dict[str, Any]) -> dict[str, str]:
    return {claim["id"]: claim["verdict"] for claim in result["claims"]}


def require(role: str, name: str) -> None:
    if not implementations()[role, name].installed():
        pytest.skip(f"{name} is not installed")


@pytest.mark.parametrize(
    ("role", "name", "judged"),
    [
        ("origin", "nginx", {"H6", "H8"} | BY_PACKETS),
        ("client", "curl", {"H6", "H8"} | BY_PACKETS),
        # It speaks 1.1 alone.
        pytest.param("client", "wget", {"H8"} | BY_PACKETS - {"H5"}, marks=pytest.mark.slow),
    ],
)
def test_a_real_program_shows_what_packets_decide(role: str, name: str, judged: set[str], tmp_path: Path) -> None:
    require(role, name)
    done = run(tmp_path, f"{role}={name}")
    result = result_of(done)
    assert result["implementations"][role] == implementations()[role, name].describe()
    assert result["implementations"][role].startswith(f"{name} ")
    (other,) = {"origin", "client"} - {role}
    assert result["implementations"][other] == f"lab7.services.http.{other}"
    found = verdicts(result)
    assert set(found) == judged
    assert {claim for claim in judged & BY_PACKETS if found[claim] != "shown"} == set()
    assert_ordered(result)
    assert done.returncode == (SHOWN if set(found.values()) == {"shown"} else FAILED)


def assert_ordered(result: dict[str, Any]) -> None:
    """H6 and H8 are shown, or failed by nothing but their time."""
    for claim in result["claims"]:
        if claim["id"] in ("H6", "H8"):
            assert claim["verdict"] == "shown" or "But measured" in claim["evidence"], claim["evidence"]


@pytest.mark.slow
def test_both_sides_are_replaced_at_once(tmp_path: Path) -> None:
    require("origin", "nginx")
    require("client", "curl")
    result = result_of(run(tmp_path, "origin=nginx", "client=curl"))
    assert [result["implementations"][role].split()[0] for role in ("client", "origin")] == ["curl", "nginx"]
    assert {verdicts(result)[claim] for claim in BY_PACKETS} == {"shown"}


@pytest.mark.slow
def test_lab7_replaces_itself_by_itself(tmp_path: Path) -> None:
    result = result_of(run(tmp_path, "origin=lab7"))
    assert result["implementations"]["origin"] == "lab7.services.http.origin"


def test_a_server_of_one_s_own_is_found_where_the_person_stands(tmp_path: Path) -> None:
    (tmp_path / "my_server.py").write_text(GOOD)
    typed = "python3 my_server.py --port {port} --root {root}"
    done = run(tmp_path, f"origin={typed}")
    result = result_of(done)
    assert result["implementations"]["origin"] == typed
    assert {verdicts(result)[claim] for claim in BY_PACKETS} == {"shown"}
    assert_ordered(result)


def test_a_server_that_answers_nonsense_fails_its_claims_with_evidence(tmp_path: Path) -> None:
    (tmp_path / "nonsense.py").write_text(NONSENSE)
    done = run(tmp_path, "origin=python3 nonsense.py {port}")
    assert done.returncode == FAILED
    result = result_of(done)
    # The requests were sound.
    assert {claim for claim, verdict in verdicts(result).items() if verdict == "shown"} == {"H2"}
    assert BY_PACKETS | {"H6", "H8"} == set(verdicts(result))
    for claim in result["claims"]:
        assert ("status line" in claim["evidence"]) == (claim["id"] != "H2")
        assert ("not loaded" in claim["evidence"]) == (claim["id"] in ("H4", "H5", "H6", "H8"))
    # Also for people, and the packets are there to look at.
    (folder,) = (tmp_path / "results" / "http-versions").iterdir()
    assert {"report.html", "capture.pcapng", "result.json"} <= {path.name for path in folder.iterdir()}


def test_a_client_that_asks_for_nothing_fails_its_claims(tmp_path: Path) -> None:
    done = run(tmp_path, "client=true {url}")
    assert "Traceback" not in done.stderr
    assert done.returncode == FAILED
    assert "shown" not in verdicts(result_of(done)).values()


@pytest.mark.parametrize(
    ("program", "status", "says"),
    [
        ("print('the port is taken')\nraise SystemExit(4)", 4, ": the port is taken;"),
        ("raise ValueError('no such folder')", 1, ": ValueError: no such folder;"),
        ("", 0, ";"),
    ],
)
def test_a_server_that_ends_at_once_is_told_with_its_last_words(
    program: str, status: int, says: str, tmp_path: Path
) -> None:
    (tmp_path / "early.py").write_text(program)
    done = run(tmp_path, "origin=python3 early.py {port}")
    assert done.returncode == NOT_STARTED
    ended = f"lab7: `python3 early.py 80` of host origin ended with exit status {status}"
    assert one_sentence(done).startswith(f"{ended} before it listened on port 80{says}")
    assert json.loads(done.stdout)["error"]["kind"] == "program-not-started"


def test_a_command_that_names_what_nobody_knows_is_one_sentence(tmp_path: Path) -> None:
    done = run(tmp_path, "origin=python3 early.py {prt}")
    assert done.returncode == CANNOT
    sentence = one_sentence(done)
    assert "'prt' is undefined" in sentence
    assert "it may use {port}, " in sentence
    assert "{root}" in sentence


@pytest.mark.parametrize(
    ("replace", "package"),
    [
        ("origin=nginx", "nginx-light"),
        ("client=curl", "curl"),
        ("client=wget", "wget"),
        ("client=h2load", "nghttp2-client"),
    ],
)
def test_a_program_that_is_not_installed_is_told_with_its_package(replace: str, package: str, tmp_path: Path) -> None:
    words = (*SHORT, "--replace", replace, "--json")
    done = lab7_with_programs(*words, cwd=tmp_path, programs={*tools.NEEDED, "sh", "bash"})
    assert done.returncode == CANNOT
    name = replace.partition("=")[2]
    assert one_sentence(done) == f"lab7: {name} is not installed: `sudo apt-get install {package}`"
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("replace", "sentence"),
    [
        ("origin=nginks", "there is no origin of that name; use one of lab7, nginx, apache, nghttpd, http.server"),
        ("client=nginx", "there is no client of that name; use one of lab7, curl, wget, nghttp, h2load"),
        ("server=nginx", "the roles are origin, client"),
        ("nginx", "the roles are origin, client"),
        (
            "origin=python3 'my server.py",
            'cannot parse the command line "python3 \'my server.py": No closing quotation',
        ),
    ],
)
def test_a_slip_is_one_sentence_that_names_what_there_is(replace: str, sentence: str, tmp_path: Path) -> None:
    done = run(tmp_path, replace)
    assert done.returncode == USAGE
    assert sentence in one_sentence(done)
    assert list(tmp_path.iterdir()) == []
