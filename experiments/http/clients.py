"""Whoever loads pages in an experiment: lab7's client, a real one, or a person's own, all asked the same way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from experiments.harness.driver import LOAD_TIMEOUT_S, run_command
from experiments.harness.implementations.registry import Implementation, expand
from experiments.harness.measurement import LoadFailedError, Window
from topologies.emulation.node import Host
from topologies.emulation.process.launcher import Service

LOADER = "experiments.http.drivers.loader"
SINGLE = "single"


class PageClient(Protocol):
    """Loads pages from one host."""

    name: str

    def supports(self, strategy: str) -> bool:
        """Whether it can load a page by this strategy."""

    def load(self, strategy: str, url: str, objects: Sequence[str] = ()) -> Window:
        """Load a page; `objects` are the URLs that it names. Raises LoadFailedError."""


class OurClient:
    """services.http.client, in one process for all loads."""

    name = "services.http.client"

    def __init__(self, host: Host) -> None:
        self._service: Service = host.start(LOADER)

    def supports(self, strategy: str) -> bool:  # noqa: ARG002
        """It knows them all."""
        return True

    def load(self, strategy: str, url: str, objects: Sequence[str] = ()) -> Window:  # noqa: ARG002
        """See PageClient; it finds the objects in the page itself."""
        report = self.ask(f"{strategy} {url}")
        return Window(report["began_ns"], report["ended_ns"])

    def load_together(self, strategy: str, urls: Sequence[str]) -> Window:
        """Ask for several objects of one origin at once, in this order, with no page. Raises LoadFailedError."""
        report = self.ask(f"{strategy} {' '.join(urls)}")
        return Window(report["began_ns"], report["ended_ns"])

    def ask(self, line: str) -> dict[str, Any]:
        """Give the loader a line and return its report. Raises LoadFailedError."""
        self._service.write_line(line)
        report: dict[str, Any] = json.loads(self._service.read_line(LOAD_TIMEOUT_S))
        if "error" in report:
            tried = Window(report["began_ns"], report["ended_ns"]) if "began_ns" in report else None
            raise LoadFailedError(report["error"], tried)
        return report


class CommandClient:
    """A client of the registry or a person's own: one process a load."""

    def __init__(self, host: Host, implementation: Implementation) -> None:
        implementation.require()
        self.name = implementation.describe()
        self._host = host
        self._implementation = implementation

    def supports(self, strategy: str) -> bool:
        """Whether its entry has a command for the strategy; single objects are loaded by whatever it has."""
        return strategy == SINGLE or self._implementation.supports(strategy)

    def load(self, strategy: str, url: str, objects: Sequence[str] = ()) -> Window:
        """See PageClient."""
        return run_command(self._host, expand(self._template(strategy), self._values(strategy, url, objects)))

    def _template(self, strategy: str) -> str:
        if self._implementation.command is not None:
            return self._implementation.command
        commands = self._implementation.commands
        return commands[next(iter(commands)) if strategy == SINGLE else strategy]

    def _values(self, strategy: str, url: str, objects: Sequence[str]) -> dict[str, Any]:
        return {"url": url, "objects": list(objects), "folder": str(self._host.workdir), "strategy": strategy}


def make_client(host: Host, implementation: Implementation | None) -> PageClient:
    """The client that was asked for; None: lab7's own."""
    return OurClient(host) if implementation is None else CommandClient(host, implementation)
