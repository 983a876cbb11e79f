"""The pytest plugin without networks: what it imports, services on loopback, judgement of files, and its refusals."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lab7.experiments.testing.fixtures import Recording, stored
from lab7.experiments.testing.judging import Judge
from lab7.experiments.testing.services import ServiceStarter
from lab7.topologies.emulation.errors import EmulationError
from tests.core.experiments.harness.wire import Tcp, Wire
from tests.core.experiments.http.pages import persistent

REFUSED = """
from lab7.experiments.testing import places
places.module_command = lambda *words: ["sh", "-c", "echo 'lab7: no namespaces here: run lab7 with sudo' >&2; exit 3"]
"""


def test_the_plugin_imports_nothing_but_pytest() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import lab7.experiments.pytest_plugin;"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['lab7', 'lab7.experiments', 'lab7.experiments.pytest_plugin']\n"


def test_what_cannot_run_here_says_why(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(REFUSED)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.lab7(topology="web")
        def test_page(testbed):
            pass

        @pytest.mark.lab7(topology="web", time="slow")
        def test_time(testbed):
            pass

        def test_plain():
            pass
        """
    )
    done = pytester.runpytest_subprocess("-rs")
    done.assert_outcomes(passed=1, skipped=1, errors=1)
    assert "needs a sandbox: no namespaces here: run lab7 with sudo" in done.stdout.str()
    assert "lab7(time='slow'): the time of a test is one of real, virtual" in done.stdout.str()


def test_a_fixture_of_the_same_name_is_no_network(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER_PID", str(os.getpid()))
    pytester.makepyfile(
        """
        import os
        import pytest

        @pytest.fixture
        def capture():
            return "own"

        @pytest.fixture
        def testbed():
            return "own"

        def test_own(capture, testbed):
            assert (capture, testbed, os.getpid()) == ("own", "own", int(os.environ["OUTER_PID"]))
        """
    )
    pytester.inline_run("-p", "no:xdist").assertoutcome(passed=1)


def test_a_service_needs_no_network(pytester: pytest.Pytester) -> None:
    pytester.makefile(".html", index="hello")
    pytester.makepyfile(
        """
        import urllib.request

        def test_origin(service, pytestconfig):
            origin = service("http.origin", "--root", str(pytestconfig.rootpath))
            with urllib.request.urlopen(f"http://{origin.host}:{origin.port}/index.html") as response:
                assert response.read() == b"hello"

        def test_own_program(service):
            own = service("python3 -m http.server --bind 127.0.0.1 {port}")
            with urllib.request.urlopen(f"http://127.0.0.1:{own.port}/index.html") as response:
                assert response.read() == b"hello"
            assert "GET /index.html" in own.output
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("http.origin", "--root", "/no/such/folder"), "ended with exit status .*, and did not print READY"),
        (("http.orgin",), r"no service 'http.orgin' \(did you mean http.origin\?\)"),
        (("python3 my_server.py",), r"or a program whose command line has \{port\}"),
        (
            ("sh -c 'echo broken >&2; exit 1' {port}",),
            "status 1, and did not accept connections to port .*: broken",
        ),
        (("/no/such/program {port}",), "cannot be started .No such file"),
    ],
)
def test_a_service_that_does_not_start_is_told_in_a_sentence(words: tuple[str, ...], sentence: str) -> None:
    with ServiceStarter() as start, pytest.raises(EmulationError, match=sentence):
        start(*words)


def test_services_are_stopped_at_the_end() -> None:
    with ServiceStarter() as start:
        process = start("http.origin", "--root", "/").process
        assert process.poll() is None
    assert process.poll() is not None


def test_a_judge_decides_about_any_capture_and_names_each_fault(tmp_path: Path) -> None:
    """The dates in this capture have the wrong day of the week's name: a MUST of RFC 9110 section 5.6.7."""
    persistent(Wire()).capture(tmp_path)
    path = tmp_path / "capture.pcapng"
    judge = Judge(lambda: pytest.fail("there is no network"))
    judgement = judge.examine("H2", "H3", capture=path)
    assert {claim.verdict for claim in judgement.claims.values()} == {"shown"}
    assert {one.rule.id for one in judgement.violations} == {"http-date-format"}
    with pytest.raises(AssertionError, match=r"^http-date-format: Frame 5, octet 17 ") as raised:
        judge("H10", capture=path)
    assert "claim H10 undecided: " in str(raised.value)
    with pytest.raises(AssertionError, match="no message of dns"):
        judge(capture=path, protocols=("dns",))
    with pytest.raises(ValueError, match="H9 cannot be decided from a capture: needs RTT"):
        judge("H9", capture=path)
    with pytest.raises(ValueError, match="no rules for smb, only for dns"):
        judge(capture=path, protocols=("smb",))


@pytest.mark.parametrize(
    ("kind", "files", "texts"),
    [
        ("message", ["capture.pcapng", "ladder.svg", "ladder.txt"], ["capture and ladder: ", "GET /"]),
        ("segments", ["capture.pcapng", "ladder.svg", "ladder.txt"], ["capture and ladder: ", "SYN"]),
        (
            "nothing",
            ["capture.pcapng"],
            ["capture: ", "no ladder, since the capture has no message and no TCP segment"],
        ),
    ],
)
def test_a_failed_test_leaves_the_files_that_its_report_names(
    kind: str, files: list[str], texts: list[str], tmp_path: Path
) -> None:
    wire = Wire()
    if kind == "message":
        persistent(wire)
    elif kind == "segments":
        Tcp(wire).open()
    wire.capture(tmp_path)
    report = stored(Recording(tmp_path / "capture.pcapng", None), tmp_path / "failures" / "test_own")
    assert sorted(path.name for path in (tmp_path / "failures" / "test_own").iterdir()) == files
    assert all(text in report for text in texts)
    # A ladder with a header and no arrow is no ladder.
    assert ("sent, ms" in report) == (kind != "nothing")


def test_a_program_that_writes_much_is_not_stopped_by_a_full_pipe() -> None:
    chatty = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "while True:\n    c, _ = s.accept(); print('x' * 200000, flush=True); c.sendall(b'done'); c.close()"
    )
    with ServiceStarter() as start:
        service = start([sys.executable, "-c", chatty, "{port}"])
        with socket.create_connection((service.host, service.port), timeout=20) as client:
            assert client.recv(4) == b"done"
        assert "xxx" in service.output


def test_an_unknown_claim_is_told_apart_from_one_that_no_capture_decides() -> None:
    judge = Judge(lambda: pytest.fail("not reached"))
    with pytest.raises(ValueError, match=r"there is no claim H99 \(did you mean H9\?\): `lab7 claims` lists them"):
        judge.examine("H99")
    with pytest.raises(ValueError, match="claim H5 cannot be decided from a capture: needs"):
        judge.examine("H5")
