"""Pytest plugin for tests on emulated networks, in real or virtual time, with captures and checks of the messages.

    @pytest.mark.lab7(topology="web", delay="50ms")
    def test_page(testbed, capture, judge):
        assert testbed.host("client").run(["curl", "-sf", "http://www.example.com/"]).returncode == 0
        judge("H2", "H3")     # fails if a captured message violates an RFC, or a claim with these ids is not shown

A claim is a statement about a protocol, decided from the captured packets (`lab7 claims` lists them). H2 and H3 are the
formats of an HTTP request and response.

A test that uses the fixture `testbed` or `capture`, or has the marker `lab7`, runs in another process: in a sandbox of
Linux namespaces that the tests of one pytest process share, or with `time="virtual"`, in a user-mode Linux kernel of
its own, whose clock jumps over idle time. All other tests run unchanged. Pytest loads the plugin in every run, so that
only pytest is imported here.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lab7.experiments.testing.fixtures import Recording, TestNetwork
    from lab7.experiments.testing.judging import Judge
    from lab7.experiments.testing.services import ServiceStarter
    from lab7.topologies.emulation.testbed import Testbed

ARTIFACTS = ".lab7-failures"
MARK = (
    "lab7(topology=None, time='real', seed=1, links='auto', switch='lxbr', arp=None, ipv6=None, stp=False, "
    "capture=True, **parameters): run the test on lab7's emulated network; the fixture `testbed` starts a topology, by "
    "name, class or file, with these parameters"
)
places_key = pytest.StashKey[Any]()
network_key = pytest.StashKey[Any]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command-line option for the folder that keeps the captures of failed tests."""
    parser.getgroup("lab7", "emulated networks").addoption(
        "--lab7-artifacts",
        metavar="DIR",
        default=ARTIFACTS,
        help=f"folder for captures and ladder diagrams of failed tests (default: {ARTIFACTS} in the root folder)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the pytest marker `lab7`."""
    config.addinivalue_line("markers", MARK)


def needs_network(item: pytest.Item) -> bool:
    """Return True if a test runs on lab7's network: it has the marker `lab7`, or uses the plugin's fixtures.

    A fixture `testbed` or `capture` that a project defines itself does not count.
    """
    if item.get_closest_marker("lab7") is not None:
        return True
    found: Any = getattr(item, "_fixtureinfo", None)
    definitions = found.name2fixturedefs if found is not None else {}
    return any(
        definitions[name][-1].baseid == "" and definitions[name][-1].func.__module__ == __name__
        for name in ("testbed", "capture")
        if definitions.get(name)
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test in a sandbox or user-mode kernel if it needs a network, and report its phases in this process.

    Returns None for any other test, so that pytest runs it as usual.
    """
    if not needs_network(item):
        return None
    from lab7.experiments.testing.places import Places

    places: Places = item.config.stash.setdefault(places_key, Places(item.config, needs_network))
    return places.run(item, nextitem)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the process that runs tests in a sandbox (new Linux namespaces), if there is one."""
    if places_key in config.stash:
        config.stash[places_key].close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],  # noqa: ARG001 - pytest's signature
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the capture and the ladder diagram of a failed test, and name their folder in its report."""
    report = yield
    if report.failed and report.when != "teardown" and network_key in item.stash:
        report.sections.append(("lab7", item.stash[network_key].keep(item)))
    return report


@pytest.fixture
def _lab7_network(request: pytest.FixtureRequest) -> Iterator[TestNetwork]:
    from lab7.experiments.testing.fixtures import network_of

    with network_of(request.node) as network:
        request.node.stash[network_key] = network
        yield network


@pytest.fixture
def testbed(_lab7_network: TestNetwork) -> Testbed:
    """Return the running network that the test's marker `lab7` describes.

    It has `.host(NAME).run([...])`, `.host(NAME).start(...)`, and `.net`, Mininet's network.
    """
    return _lab7_network.bed


@pytest.fixture
def capture(_lab7_network: TestNetwork) -> Recording:
    """Return the capture at all interfaces of all hosts, started before the test.

    It has `.read()` for the frames, `.ladder()` for a ladder diagram, and `.path`, the file.
    """
    return _lab7_network.recording


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Judge:
    """Return a function that checks captured messages; `judge("H2")` also decides claim H2, and may fail the test."""
    from lab7.experiments.testing.judging import Judge

    return Judge(lambda: request.getfixturevalue("capture").read())


@pytest.fixture
def service() -> Iterator[ServiceStarter]:
    """Return a function that starts a service or program on loopback, without a network, until the end of the test."""
    from lab7.experiments.testing.services import ServiceStarter

    with ServiceStarter() as starter:
        yield starter
