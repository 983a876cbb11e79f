"""The pytest plugin as a repository of its own uses it: in a sandbox beside the tests that need none."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from lab7.topologies.emulation import sandbox

OUTSIDE = """
import os
import pytest

SHARED = []

@pytest.fixture(scope="module")
def shared():
    SHARED.append("set up")
    yield SHARED
    SHARED.append("torn down")

def test_outside_before(shared):
    assert os.readlink("/proc/self/ns/net") == os.environ["OUTER"]

@pytest.mark.lab7(topology="web", delay="50ms")
def test_page(testbed, capture, judge):
    assert os.readlink("/proc/self/ns/net") != os.environ["OUTER"]
    assert testbed.host("client").run(["curl", "-sf", "http://www.example.com/"]).returncode == 0
    judge("H2", "H3")
    times = [arrow.received_ns - arrow.sent_ns for arrow in capture.ladder().ladder.arrows]
    assert min(times) > 20e6

@pytest.mark.lab7(topology="web")
def test_that_fails(testbed):
    testbed.host("client").run(["curl", "-sf", "http://www.example.com/"])
    assert testbed.host("client").run(["cat", "/no/such/file"]).returncode == 0

@pytest.mark.lab7
def test_that_dies(shared):
    os._exit(9)

@pytest.mark.lab7(topology="own_topology.py", hosts=3)
def test_a_file_after_a_death(testbed):
    assert [host.name for host in testbed.net.hosts] == ["h0", "h1", "h2"]
    testbed.host("h1").start_program(["python3", "own_server.py"], port=80)
    assert testbed.host("h2").run(["curl", "-s", "http://h1/"]).stdout == b"hello"

@pytest.mark.lab7(topology="nowhere")
def test_unknown(testbed):
    pass

@pytest.mark.lab7(topology="web", dealy="1s")
def test_misspelt(testbed):
    pass

def test_outside_after(shared):
    assert shared == ["set up"]
    assert os.readlink("/proc/self/ns/net") == os.environ["OUTER"]
"""
TOPOLOGY = """
from mininet.topo import Topo

class Own(Topo):
    def build(self, hosts=2):
        switch = self.addSwitch("s1")
        for number in range(hosts):
            self.addLink(self.addHost(f"h{number}"), switch)
"""

SERVER = """
import socket

with socket.create_server(("", 80)) as server:
    while True:
        client, _ = server.accept()
        client.recv(1000)
        client.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")
        client.close()
"""


@pytest.fixture(autouse=True)
def _as_outside_of_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", os.readlink("/proc/self/ns/net"))
    monkeypatch.delenv(sandbox.MARK)


@pytest.mark.slow
def test_tests_run_where_they_can_and_a_failure_keeps_its_packets(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(own_topology=TOPOLOGY, own_server=SERVER)
    pytester.makepyfile(test_own=OUTSIDE)
    done = pytester.runpytest_subprocess("test_own.py")
    done.assert_outcomes(passed=4, failed=1, errors=3)
    text = done.stdout.str()
    for sentence in (
        "the process in the sandbox ended during the test, with exit code 9",
        "unknown topology 'nowhere': the topologies are ",
        "the topology web has no parameter 'dealy' (did you mean delay?): it has ",
    ):
        assert sentence in text
    assert "During handling of the above exception" not in text
    (folder,) = re.findall(r"^capture and ladder: (.*)$", text, re.MULTILINE)
    assert sorted(path.name for path in Path(folder).iterdir()) == ["capture.pcapng", "ladder.svg", "ladder.txt"]
    assert "GET / ---" in text
    assert (Path(folder).parent / ".gitignore").read_text() == "*\n"


@pytest.mark.slow
def test_places_alternate_within_files(pytester: pytest.Pytester) -> None:
    """The last test of each file runs outside, and the first of the next file in the sandbox again."""
    text = """
        import pytest

        @pytest.fixture(scope="module")
        def shared():
            yield

        @pytest.mark.lab7
        def test_inside(shared):
            pass

        def test_outside(shared):
            pass
        """
    pytester.makepyfile(test_one=text, test_two=text)
    pytester.runpytest_subprocess().assert_outcomes(passed=4)


@pytest.mark.slow
def test_workers_have_sandboxes_of_their_own(pytester: pytest.Pytester) -> None:
    """Both files use a switch s1 at the same time, and wait for each other."""
    text = """
        import pytest
        from pathlib import Path

        @pytest.mark.lab7(topology="web")
        def test_both(testbed):
            here = Path({folder!r})
            (here / {name!r}).touch()
            for _ in range(600):
                if len(list(here.iterdir())) == 2:
                    break
                testbed.host("client").run(["sleep", "0.1"])
            else:
                pytest.fail("the other network did not start")
        """
    meeting = pytester.mkdir("meeting")
    for name in ("one", "two"):
        pytester.makepyfile(**{f"test_{name}": text.format(folder=str(meeting), name=name)})
    pytester.runpytest_subprocess("-n", "2", "--dist", "loadfile").assert_outcomes(passed=2)


@pytest.mark.slow
def test_a_repository_may_have_services_and_experiments_of_its_own(pytester: pytest.Pytester) -> None:
    for package in ("services", "experiments", "topologies"):
        pytester.mkpydir(package).joinpath("own.py").write_text("NAME = __name__\n")
    pytester.makepyfile(
        """
        import experiments.own
        import services.own
        import topologies.own
        import pytest

        @pytest.mark.lab7(topology="web", delay="50ms")
        def test_page(testbed, judge):
            assert testbed.host("client").run(["curl", "-sf", "http://www.example.com/"]).returncode == 0
            judge("H2")

        def test_own():
            assert (services.own.NAME, experiments.own.NAME) == ("services.own", "experiments.own")
        """
    )
    pytester.syspathinsert(pytester.path)
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
