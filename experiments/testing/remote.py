"""Inner pytest process: collects test files, runs tests by node id, and sends the reports of the tests' phases.

The outer process is the one that the user started. `python -m lab7.experiments.testing.remote FD` runs in a sandbox
(Linux namespaces): the file descriptor FD is a connection to the outer process, for settings, node ids and reports.
run_in_kernel() runs a single test in virtual time, in a user-mode Linux kernel whose clock jumps over idle time;
settings and reports are files.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from _pytest.config import _prepareconfig

SETTINGS, REPORTS, ARTIFACTS = "settings.pickle", "reports.pickle", "artifacts"
# Node ids of a test to run, and of the following test, for which fixtures of modules and packages are kept.
Wanted = tuple[str, str | None]


@dataclass(frozen=True)
class Settings:
    """Settings that the user's pytest process (outer) sends to a pytest process in a sandbox or kernel (inner).

    `arguments`: command-line arguments of the outer process. `files`: test files to collect. `options`: options that
    differ from their defaults. `path`: import path.
    """

    arguments: list[str]
    files: list[str]
    options: Mapping[str, Any]
    path: list[str]


class Remote:
    """Pytest plugin within a sandbox or kernel, which runs the requested tests and sends their reports.

    `wanted`: iterator over the tests to run. `send`: function called with each report as JSON data, and with None after
    each test. A test that was not collected, because its file could not be read, gets a failed report.
    """

    def __init__(self, config: pytest.Config, wanted: Iterable[Wanted], send: Callable[[Any], None]) -> None:
        self._config, self._wanted, self._send = config, wanted, send
        self._errors: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record the error of a test file that cannot be collected."""
        if report.failed:
            self._errors.append(report.longreprtext)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the requested tests, one after another."""
        items = {item.nodeid: item for item in session.items}
        for nodeid, following in self._wanted:
            if nodeid in items:
                nextitem = items.get(following) if following else None
                self._config.hook.pytest_runtest_protocol(item=items[nodeid], nextitem=nextitem)
            else:
                why = "\n".join(self._errors) or "this test is not found when its file is collected in the sandbox"
                self.pytest_runtest_logreport(pytest.TestReport(nodeid, ("", None, nodeid), {}, "failed", why, "setup"))
            self._send(None)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Send the report of one phase of a test (setup, call or teardown) to the user's pytest process."""
        self._send(self._config.hook.pytest_report_to_serializable(config=self._config, report=report))


def _run(settings: Settings, wanted: Iterable[Wanted], send: Callable[[Any], None]) -> int:
    """Run pytest within the sandbox or kernel to completion; return its exit code."""
    sys.path[:] = settings.path
    config = _prepareconfig(settings.arguments)
    # Reports are printed by the outer process; plugins find no terminal here, as in a worker of pytest-xdist.
    config.pluginmanager.unregister(name="terminal")
    for name, value in settings.options.items():
        setattr(config.option, name, value)
    # Arguments determine node ids and configuration; only the files with tests of the network are collected.
    config.args = settings.files
    config.pluginmanager.register(Remote(config, wanted, send), "lab7-remote")
    return int(config.hook.pytest_cmdline_main(config=config))


def _received(connection: Connection) -> Iterator[Wanted]:
    """Yield the node ids of tests from the user's pytest process, until it closes the connection or exits."""
    while True:
        try:
            yield connection.recv()
        except EOFError:
            return


def main() -> int:
    """Run tests in a sandbox for the user's pytest process; the argument is the descriptor of the connection to it."""
    connection = Connection(int(sys.argv[1]))
    settings: Settings = connection.recv()
    return _run(settings, _received(connection), connection.send)


def run_in_kernel(request: Mapping[str, Any], folder: Path) -> None:
    """Run one test in a user-mode kernel; settings and reports are files in a folder shared with the host."""
    from lab7.experiments.harness.virtual_time.job import report_step

    settings: Settings = pickle.loads((folder / SETTINGS).read_bytes())
    reports: list[Any] = []

    def send(report: Any) -> None:
        if report is not None:
            reports.append(report)
            report_step(str(report["when"]), 0.5)

    os.chdir(request["folder"])
    _run(settings, [(request["nodeid"], None)], send)
    (folder / REPORTS).write_bytes(pickle.dumps(reports))


if __name__ == "__main__":
    # Run main() of the module imported by its name, since pickled settings refer to their class by this name.
    from lab7.experiments.testing import remote

    sys.exit(remote.main())
