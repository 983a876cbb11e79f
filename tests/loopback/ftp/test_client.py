"""The client's command line against our server, and its reports."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loopback.ftp.support import HOST, PASSWORD, USER, Server

LARGE = os.urandom(4096) * 512
REPOSITORY = Path(__file__).resolve().parents[3]


def client(server: Server, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab7.services.ftp.client", HOST, "--port", str(server.port)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [*command, "--user", USER, "--password", PASSWORD, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("flags", [[], ["--active"], ["--extended"], ["--active", "--extended"]])
def test_files_both_ways_and_a_report(server: Server, tmp_path: Path, flags: list[str]) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    done = client(server, tmp_path, "put large new", "get new back", "get a.txt", "ls sub", "--json", *flags)
    assert done.returncode == 0, done.stderr
    assert (server.root / "new").read_bytes() == (tmp_path / "back").read_bytes() == LARGE
    report = json.loads(done.stdout)
    actions = [(one["action"], one["size_bytes"]) for one in report["transfers"]]
    assert actions == [("STOR", len(LARGE)), ("RETR", len(LARGE)), ("RETR", 8), ("LIST", 0)]
    assert {one["mode"] for one in report["transfers"]} == {"active" if "--active" in flags else "passive"}
    assert {one["sha256"] for one in report["transfers"][:2]} == {hashlib.sha256(LARGE).hexdigest()}
    assert report["size_bytes"] == 2 * len(LARGE) + 8
    times = [report["connected_s"], report["greeting_s"], report["login_s"]]
    for one in report["transfers"]:
        times += [one["command_s"], one["connected_s"], one["end_s"]]
    assert times == sorted(times)
    if "--active" in flags:
        assert {one["remote_port"] for one in report["transfers"]} == {server.port - 1}


def test_it_goes_on_where_it_was_cut(server: Server, tmp_path: Path) -> None:
    (server.root / "large").write_bytes(LARGE)
    (tmp_path / "large").write_bytes(LARGE[:1000])
    assert client(server, tmp_path, "--resume", "get large").returncode == 0
    assert (tmp_path / "large").read_bytes() == LARGE
    (server.root / ".up.part").write_bytes(LARGE[:1234])
    done = client(server, tmp_path, "--resume", "put large up", "--json")
    assert (server.root / "up").read_bytes() == LARGE
    assert json.loads(done.stdout)["transfers"][0]["restart_offset"] == 1234


def test_names_and_a_transcript_without_the_password(server: Server, tmp_path: Path) -> None:
    done = client(server, tmp_path, "mkdir d", "cd d", "cd /", "delete a.txt", "--transcript")
    assert done.returncode == 0, done.stderr
    assert (server.root / "d").is_dir()
    assert not (server.root / "a.txt").exists()
    assert "U: PASS ..." in done.stderr
    assert PASSWORD not in done.stderr


@pytest.mark.parametrize("words", [["get nowhere"], ["--password", "wrong", "ls"], ["put nowhere"]])
def test_what_fails_is_said(server: Server, tmp_path: Path, words: list[str]) -> None:
    done = client(server, tmp_path, *words)
    assert done.returncode == 1
    assert done.stderr.startswith("client: ")
    assert "Traceback" not in done.stderr


def test_help_names_the_commands_and_an_unknown_one_is_told_them(server: Server, tmp_path: Path) -> None:
    shown = client(server, tmp_path, "help")
    assert shown.returncode == 0
    assert [line.split()[0] for line in shown.stdout.splitlines()] == (
        ["get", "put", "ls", "nlst", "mlsd", "cd", "mkdir", "delete", "help"]
    )
    assert client(server, tmp_path, "help put").stdout.startswith("put LOCAL [REMOTE] ")
    assert "use get, put, ls" in client(server, tmp_path, "fetch a.txt").stderr
    assert client(server, tmp_path, "get").stderr.endswith("'get': the syntax is get REMOTE [LOCAL]\n")
    within = client(server, tmp_path, "cd sub", "help cd")
    assert within.stdout.startswith("cd PATH "), within.stderr
