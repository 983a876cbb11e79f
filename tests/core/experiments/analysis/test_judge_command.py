"""`lab7 judge`: exit codes, text and JSON."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from lab7.experiments.analysis.cli import judge_command
from tests.core.experiments.harness.wire import Tcp, Wire, request, response


def capture(folder: Path, answer: bytes) -> str:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", request("/", "1.1"))
    tcp.server("PA", answer)
    tcp.client("FA")
    wire.capture(folder)
    return str(folder / "capture.pcapng")


def test_a_correct_capture_exits_with_0(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        judge_command, [capture(tmp_path, response(version="1.1", date="Tue, 01 Jan 2030 00:00:00 GMT"))]
    )
    assert done.exit_code == 0
    assert "2 messages of http checked" in done.output
    assert "no violation" in done.output


def test_a_violation_exits_with_1_and_is_explained(tmp_path: Path) -> None:
    path = capture(tmp_path, b"HTTP/1.1 304 Not Modified\r\n\r\n")
    done = CliRunner().invoke(judge_command, [path])
    assert done.exit_code == 1
    assert "http-not-modified" in done.output
    assert "RFC 9110 section 15.4.5" in done.output
    (one,) = json.loads(CliRunner().invoke(judge_command, [path, "--json"]).output)["violations"]
    assert (one["rule"], one["frame"], bytes.fromhex(one["octets"])) == (
        "http-not-modified", 5, b"HTTP/1.1 304 Not Modified\r\n",
    )  # fmt: skip


def test_another_protocol_alone_is_checked(tmp_path: Path) -> None:
    path = capture(tmp_path, b"HTTP/1.1 304 Not Modified\r\n\r\n")
    done = CliRunner().invoke(judge_command, [path, "--protocol", "dns"])
    assert done.exit_code == 0
    assert "no message of a known protocol checked" in done.output


def test_a_file_that_is_no_capture_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no capture at all")
    done = CliRunner().invoke(judge_command, [str(tmp_path / "notes.txt")])
    assert done.exit_code == 2
    assert done.output.count("\n") <= 4
    assert "Traceback" not in done.output
