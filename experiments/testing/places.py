"""Processes for tests with an emulated network: a pytest process in a sandbox, a kernel per test in virtual time.

A sandbox is a set of Linux namespaces. Virtual time is the clock of a user-mode Linux kernel, which jumps over idle
time.

The user's pytest process stays in the machine's network, with the user's privileges. A second pytest process (module
remote), in a sandbox, collects the files of the tests that need a network. It receives node ids, runs one test for
each, and sends back the reports of the test's phases, as a worker of pytest-xdist does. Each worker of `pytest -n` has
its own sandbox.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.testing import remote
from lab7.topologies.emulation import sandbox
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.process.interpreter import module_command

# Time in s after the last test for the teardown of module and session fixtures, which may be networks.
STOP_TIMEOUT_S = 60.0
TIMES = ("real", "virtual")
# Options of the outer pytest process that have no place in an inner one: its reports, its choice of tests, its workers.
NEUTRAL: Mapping[str, Any] = {
    "numprocesses": None,
    "maxprocesses": None,
    "dist": "no",
    "distload": False,
    "tx": [],
    "looponfail": False,
    "usepdb": False,
    "maxfail": 0,
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "cacheclear": False,
    "xmlpath": None,
    "htmlpath": None,
    "no_cov": True,
    "collectonly": False,
}


class EndedError(Exception):
    """Error for the unexpected exit of the pytest process in the sandbox; the message has its exit status."""


@dataclass
class SandboxProcess:
    """Pytest process in a sandbox, and the connection over which it receives tests and sends reports."""

    process: subprocess.Popen[bytes]
    connection: Connection

    def run(self, nodeid: str, following: str | None) -> Iterator[dict[str, Any]]:
        """Run one test, and yield its reports as JSON data. Raises EndedError."""
        try:
            self.connection.send((nodeid, following))
            while True:
                report = self.connection.recv()
                if report is None:
                    return
                yield report
        except (EOFError, OSError):
            code = self.process.wait()
            raise EndedError(f"the process in the sandbox ended during the test, with exit code {code}") from None

    def close(self) -> None:
        """End the process and the networks that it runs."""
        self.connection.close()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait()


class Places:
    """Dispatcher of tests that need a network, to a sandbox (new Linux namespaces) or to a user-mode kernel.

    The sandbox is created for the first test that needs it.
    """

    def __init__(self, config: pytest.Config, needs_network: Callable[[pytest.Item], bool]) -> None:
        self._config, self._needs_network = config, needs_network
        self._is_worker = hasattr(config, "workerinput")
        self._sandbox: SandboxProcess | None = None
        self._refusal: str | None = None

    def run(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a test in a sandbox or a user-mode kernel, report its phases in this process, and return True.

        Returns None, without running the test, if this process itself can run the test.
        """
        time = _time_of(item)
        if _is_here(time, self._is_worker):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports(item, nextitem, time):
            item.ihook.pytest_runtest_logreport(report=report)
        self._tear_down(item, nextitem)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def close(self) -> None:
        """End the process in the sandbox, if any."""
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None

    def _reports(self, item: pytest.Item, nextitem: pytest.Item | None, time: str) -> Iterator[pytest.TestReport]:
        if time not in TIMES:
            yield _report(item, "failed", f"lab7(time={time!r}): the time of a test is one of {', '.join(TIMES)}")
            return
        if why := self._refused() if time == "real" else _virtual_refusal():
            yield _report(item, "skipped", why)
            return
        try:
            found = self._in_sandbox(item, nextitem) if time == "real" else self._in_kernel(item)
            for data in found:
                yield self._config.hook.pytest_report_from_serializable(config=self._config, data=data)
        except EndedError as error:
            self.close()
            yield _report(item, "failed", str(error))
        except EmulationError as error:
            yield _report(item, "failed", str(error))

    def _refused(self) -> str:
        """Return the reason why this machine cannot create a sandbox, in one line; empty if there is none."""
        if self._refusal is None:
            command = module_command(sandbox.__name__, "true")
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            self._refusal = "" if done.returncode == 0 else f"needs a sandbox: {last.removeprefix('lab7: ')}"
        return self._refusal

    def _in_sandbox(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[dict[str, Any]]:
        if self._sandbox is None:
            self._sandbox = self._start(item.session)
        # Fixtures of modules are kept for the next test only if it runs in the sandbox too.
        keeps = nextitem is not None and self._needs_network(nextitem) and _time_of(nextitem) == "real"
        yield from self._sandbox.run(item.nodeid, nextitem.nodeid if nextitem is not None and keeps else None)

    def _start(self, session: pytest.Session) -> SandboxProcess:
        ours, theirs = Pipe()
        command = module_command(sandbox.__name__, *module_command(remote.__name__, str(theirs.fileno())))
        # The inner process sets the variable that marks a sandbox itself.
        environment = {name: value for name, value in os.environ.items() if name != sandbox.MARK}
        with theirs:
            process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd=_folder(self._config),
            )
        files = list(dict.fromkeys(str(each.path) for each in session.items if self._needs_network(each)))
        ours.send(self._settings(files, {"basetemp": _basetemp(self._config)}))
        return SandboxProcess(process, ours)

    def _settings(self, files: list[str], options: Mapping[str, Any]) -> remote.Settings:
        artifacts = str(self._config.rootpath / self._config.getoption("lab7_artifacts"))
        changes = {**NEUTRAL, "lab7_artifacts": artifacts, **options}
        return remote.Settings(list(self._config.invocation_params.args), files, changes, list(sys.path))

    def _in_kernel(self, item: pytest.Item) -> Iterator[dict[str, Any]]:
        """Run one test in its own user-mode kernel (virtual time), and yield its reports."""
        from lab7.experiments.harness.virtual_time.job import RESULT_PLACE
        from lab7.experiments.harness.virtual_time.kernel_run import VirtualTime
        from lab7.topologies.emulation.virtual import kernel

        mark = item.get_closest_marker("lab7")
        seed = mark.kwargs.get("seed", 1) if mark is not None else 1
        with tempfile.TemporaryDirectory(prefix="lab7-pytest-") as name:
            folder = Path(name)
            inside = f"{RESULT_PLACE}/{remote.ARTIFACTS}"
            options = {"basetemp": f"{RESULT_PLACE}/tmp", "lab7_artifacts": inside}
            settings = self._settings([str(item.path)], options)
            (folder / remote.SETTINGS).write_bytes(pickle.dumps(settings))
            request = {
                "kind": "call",
                "function": f"{remote.__name__}:{remote.run_in_kernel.__name__}",
                "nodeid": item.nodeid,
                "folder": str(_folder(self._config)),
            }
            with contextlib.chdir(_folder(self._config)):
                VirtualTime(kernel.require(), seed).call(folder, item.nodeid, request, lambda _what, _share: None)
            artifacts = self._config.rootpath / self._config.getoption("lab7_artifacts")
            if (folder / remote.ARTIFACTS).is_dir():
                shutil.copytree(folder / remote.ARTIFACTS, artifacts, dirs_exist_ok=True)
            for data in pickle.loads((folder / remote.REPORTS).read_bytes()):
                sections = [(title, text.replace(inside, str(artifacts))) for title, text in data["sections"]]
                yield {**data, "sections": sections}

    def _tear_down(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Tear down fixtures in this process that the next test does not need; report a failure."""
        call = pytest.CallInfo.from_call(lambda: item.session._setupstate.teardown_exact(nextitem), when="teardown")
        if call.excinfo is not None:
            report = item.ihook.pytest_runtest_makereport(item=item, call=call)
            item.ihook.pytest_runtest_logreport(report=report)


def _time_of(item: pytest.Item) -> Any:
    mark = item.get_closest_marker("lab7")
    return mark.kwargs.get("time", "real") if mark is not None else "real"


def _is_here(time: str, is_worker: bool) -> bool:
    """Return True if this process itself can run a test with the clock `time` (real or virtual).

    It can if it runs in virtual time. With the real clock, it can if it is in a sandbox and no worker of pytest-xdist.
    """
    from lab7.experiments.harness import clock

    if clock.current().word == "virtual":
        return True
    return time == "real" and sandbox.inside() and not is_worker


def _virtual_refusal() -> str:
    from lab7.topologies.emulation.virtual import kernel

    if why := kernel.unsupported():
        return f"needs virtual time: {why}"
    return (
        ""
        if kernel.find() is not None
        else "needs the kernel of virtual time, which is not built: run `lab7 doctor --fix`"
    )


def _folder(config: pytest.Config) -> Path:
    return Path(config.invocation_params.dir)


def _basetemp(config: pytest.Config) -> str | None:
    factory = getattr(config, "_tmp_path_factory", None)
    return None if factory is None else str(factory.getbasetemp() / "lab7")


def _report(item: pytest.Item, outcome: str, why: str) -> pytest.TestReport:
    path, line, _ = item.location
    longrepr: Any = (str(item.path), (line or 0) + 1, f"Skipped: {why}") if outcome == "skipped" else f"{path}: {why}"
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={**item.keywords},
        outcome=outcome,  # type: ignore[arg-type]
        longrepr=longrepr,
        when="setup",
    )
