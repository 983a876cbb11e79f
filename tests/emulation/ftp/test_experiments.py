"""The experiments on FTP: what packets decide with lab7's server, with real ones, and with one that is wrong."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.ftp.claims.eavesdrop import eavesdrop
from lab7.experiments.ftp.lab import PASSWORD, USER
from lab7.experiments.ftp.wire.sessions import ftp_traffic
from lab7.experiments.harness.capture.capture import Capture, CaptureInterface
from lab7.experiments.harness.fidelity.disturbance import TERMS
from lab7.experiments.harness.implementations.registry import FTP_CLIENT, FTP_SERVER, implementations
from lab7.experiments.harness.judge.frames import read_capture
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.ftp import EVE_ADDRESS, FILES, SERVER_NAME, FtpTopo
from tests.emulation.support import PATIENCE_S, lab7, one_sentence, start_lab7

MODES_RUN = ("ftp-modes", "--repeat", "1", "--set", "rtt=10ms", "--set", "files=2")
EAVESDROP_RUN = ("ftp-eavesdrop", "--set", "size=20000")
MODES_CLAIMS = ["F1", "F2", "F3", "F4", "F5", "F6", "F7"]
# Whatever it is asked, it says yes, and remembers nothing.
YES_MAN = """
import socketserver, sys

class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 yes\\r\\n")
        for line in self.rfile:
            verb = line.split()[0].upper()
            self.wfile.write(b"221 bye\\r\\n" if verb == b"QUIT" else b"230 yes\\r\\n")
            if verb == b"QUIT":
                return

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


def needs(role: str, name: str) -> None:
    if not implementations()[role, name].installed():
        pytest.skip(f"{name} is not installed")


@pytest.fixture(scope="module")
def modes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("modes")
    return result_of(folder, *MODES_RUN), folder


def test_lab7_s_server_and_client_show_what_packets_decide(modes: tuple[Result, Path]) -> None:
    result, _ = modes
    evidence = {claim["id"]: claim["evidence"] for claim in result["claims"]}
    assert verdicts(result) == dict.fromkeys(MODES_CLAIMS, "shown"), evidence
    assert [one["name"] for one in result["comparisons"]] == ["active", "passive", "HTTP/1.1 persistent"]
    for one in result["comparisons"][:2]:
        # USER, PASS, TYPE: what theory counts is what this client says.
        assert one["formula"] == "(5 + 3n) RTT + X"
        assert one["theory_terms"]["announcement"] > 2 * 0.010
    assert all(claim["frames"] for claim in result["claims"])


def test_each_session_says_what_disturbed_it(modes: tuple[Result, Path]) -> None:
    for one in modes[0]["comparisons"]:
        assert one["disturbed"] is not None
        assert set(TERMS) <= set(one["terms"])


def test_the_report_shows_times_and_claims(modes: tuple[Result, Path]) -> None:
    (report,) = (modes[1] / "results" / "ftp-modes").glob("*/report.html")
    page = report.read_text(encoding="utf-8")
    for text in ("<svg", "(5 + 3n) RTT + X", "HTTP/1.1 persistent", "data handshake", "F7"):
        assert text in page
    capture = read_capture(report.with_name("capture.pcapng"))
    assert max(frame for claim in modes[0]["claims"] for frame in claim["frames"]) <= len(capture.frames)


@pytest.mark.slow
def test_a_real_server_that_never_says_125_shows_the_rest(tmp_path: Path) -> None:
    needs(FTP_SERVER, "vsftpd")
    result = result_of(tmp_path, *MODES_RUN, "--replace", "ftp-server=vsftpd")
    expected = dict.fromkeys(MODES_CLAIMS, "shown") | {"F4": "failed"}
    assert verdicts(result) == expected
    assert "The scenario for 125" in next(one["evidence"] for one in result["claims"] if one["id"] == "F4")


@pytest.mark.slow
@pytest.mark.parametrize("client", ["curl", "lftp", "ftplib"])
def test_a_real_client_shows_the_modes(tmp_path: Path, client: str) -> None:
    needs(FTP_CLIENT, client)
    result = result_of(tmp_path, *MODES_RUN, "--replace", f"ftp-client={client}")
    assert verdicts(result) == dict.fromkeys(MODES_CLAIMS, "shown")


@pytest.mark.slow
def test_a_client_with_a_session_for_every_file_is_found_out(tmp_path: Path) -> None:
    needs(FTP_CLIENT, "wget")
    found = verdicts(result_of(tmp_path, *MODES_RUN, "--replace", "ftp-client=wget"))
    # It cannot store, so the capture has no STOR either.
    assert found == dict.fromkeys(MODES_CLAIMS, "shown") | {"F1": "failed", "F3": "undecided"}


@pytest.mark.slow
def test_a_server_that_only_says_yes_shows_nothing(tmp_path: Path) -> None:
    program = tmp_path / "yes.py"
    program.write_text(YES_MAN)
    replaced = f"ftp-server={sys.executable} {program} {{port}}"
    found = verdicts(result_of(tmp_path, *MODES_RUN, "--replace", replaced))
    assert set(found) == set(MODES_CLAIMS)
    assert "shown" not in found.values()


@pytest.mark.parametrize(
    ("ssh", "program"), [("openssh", "sshd"), pytest.param("asyncssh", "python3", marks=pytest.mark.slow)]
)
def test_the_third_host_recovers_everything_by_ftp_and_nothing_by_sftp(tmp_path: Path, ssh: str, program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip("OpenSSH's server is not installed")
    result = result_of(tmp_path, *EAVESDROP_RUN, "--set", f"ssh={ssh}")
    assert result["implementations"]["sftp-server"].startswith(ssh)
    evidence = {claim["id"]: claim["evidence"] for claim in result["claims"]}
    assert verdicts(result) == {"F8": "shown", "F9": "shown"}, evidence
    assert f"'{PASSWORD}'" in evidence["F8"]
    assert f"'{USER}'" in evidence["F8"]
    assert "20000 octets" in evidence["F8"]
    assert "625 blocks" in evidence["F9"]
    assert "octets downstream" in evidence["F9"]
    (capture,) = (tmp_path / "results" / "ftp-eavesdrop").glob("*/capture.pcapng")
    ends = {
        (frame.packet["IP"].src, frame.packet["IP"].dst)
        for frame in read_capture(capture).frames
        if "IP" in frame.packet
    }
    # What it saw was for others.
    assert ends
    assert all(EVE_ADDRESS not in pair for pair in ends)


def test_a_mode_that_there_is_not_is_refused(tmp_path: Path) -> None:
    done = lab7("run", "ftp-eavesdrop", "--set", "mode=both", cwd=tmp_path)
    assert "expected active or passive" in one_sentence(done)


@pytest.mark.parametrize("mirrors", ["yes", "no"])
def test_the_topology_serves_its_users_and_shows_eve_what_the_mirror_port_has(tmp_path: Path, mirrors: str) -> None:
    path = tmp_path / "capture.pcapng"
    with Testbed(FtpTopo(mirrors=mirrors, delay="1ms"), links="wire") as bed:
        eve = bed.host("eve")
        with Capture(path, [CaptureInterface("eve", eve.namespace_pid, "eve-eth0")]):
            words = ["curl", "-sS", f"ftp://{USER}:{PASSWORD}@{SERVER_NAME}/letters/alice.txt"]
            done = bed.host("client").run(words)
    assert done.stdout.decode() == FILES["files/ann/letters/alice.txt"], done.stderr
    heard = eavesdrop(read_capture(path), "eve", EVE_ADDRESS)
    assert [one.what for one in heard.credentials["PASS"]] == ([PASSWORD] if mirrors == "yes" else [])
    if mirrors == "yes":
        (session,) = ftp_traffic(read_capture(path), "eve").sessions
        assert [one.stream.data.decode() for one in session.transfers] == [done.stdout.decode()]


def test_the_quota_of_the_topology_is_kept(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(30_000))
    with Testbed(FtpTopo(delay="1ms"), links="wire") as bed:
        words = ["curl", "-sS", "-T", str(large), f"ftp://ben:battery-staple@{SERVER_NAME}/"]
        assert bed.host("client").run(words).returncode != 0


@pytest.mark.slow
def test_no_cell_of_the_matrix_fails_for_an_unknown_cause(tmp_path: Path) -> None:
    done = lab7("matrix", "ftp", "--json", cwd=tmp_path)
    assert done.stderr == ""
    printed = json.loads(done.stdout)
    failing = [cell for cell in printed["cells"] if cell["verdict"] == "fail" and not cell["known_cause"]]
    assert failing == []
    ours = [cell for cell in printed["cells"] if cell["server"] == "lab7" and cell["verdict"] in ("pass", "fail")]
    assert ours
    assert all(cell["verdict"] == "pass" and cell["frames"] for cell in ours)
