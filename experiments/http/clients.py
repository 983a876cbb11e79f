"""HTTP clients for page loads: lab7's own, curl and other registered programs, or a program of the user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from lab7.experiments.harness.driver import LOAD_TIMEOUT_S, Driver, DriverError, run_command
from lab7.experiments.harness.implementations.registry import Implementation, client_words
from lab7.experiments.harness.measurement import LoadFailedError, Window
from lab7.topologies.emulation.node import Host

LOADER = "lab7.experiments.http.drivers.loader"
SINGLE = "single"


class PageClient(Protocol):
    """Interface of an HTTP client that loads pages on one host."""

    name: str

    def supports(self, strategy: str) -> bool:
        """Return True if the client can load a page by this strategy, such as `1.1-persistent`."""

    def load(self, strategy: str, url: str, objects: Sequence[str] = ()) -> Window:
        """Load a page and the objects (URLs) that the page references; return the time span. Raises LoadFailedError."""


class OurClient:
    """lab7's own HTTP client (lab7.services.http.client), with one process for all page loads."""

    name = "lab7.services.http.client"

    def __init__(self, host: Host) -> None:
        self._driver = Driver(host, [LOADER])

    def supports(self, strategy: str) -> bool:  # noqa: ARG002
        """Return True, since lab7's client implements every strategy."""
        return True

    def load(self, strategy: str, url: str, objects: Sequence[str] = ()) -> Window:  # noqa: ARG002
        """Load a page as PageClient.load() does; ignore `objects`, since the client parses the page."""
        return self._request({"strategy": strategy, "page": url})

    def load_together(self, strategy: str, urls: Sequence[str]) -> Window:
        """Send requests for several objects of one origin at once; return the time span. Raises LoadFailedError."""
        return self._request({"strategy": strategy, "objects": list(urls)})

    def _request(self, request: dict[str, Any]) -> Window:
        try:
            return self._driver.request(request, LOAD_TIMEOUT_S)
        except DriverError as error:
            raise LoadFailedError(str(error), error.window) from error


class CommandClient:
    """HTTP client program of the registry or of the user, started once for each page load."""

    def __init__(self, host: Host, implementation: Implementation) -> None:
        implementation.require()
        self.name = implementation.describe()
        self._host = host
        self._implementation = implementation

    def supports(self, strategy: str) -> bool:
        """Return True if the registry has a command for the strategy; every client can load single objects."""
        return strategy == SINGLE or self._implementation.supports(strategy)

    def load(self, strategy: str, url: str, objects: Sequence[str] = ()) -> Window:
        """Load a page as PageClient.load() does, by one run of the client's command."""
        values = self._values(strategy, url, objects)
        words = client_words(self._implementation, self._template(strategy), values, self._host.workdir)
        return run_command(self._host, words)

    def _template(self, strategy: str) -> str:
        if self._implementation.command is not None:
            return self._implementation.command
        commands = self._implementation.commands
        return commands[next(iter(commands)) if strategy == SINGLE else strategy]

    def _values(self, strategy: str, url: str, objects: Sequence[str]) -> dict[str, Any]:
        return {"url": url, "objects": list(objects), "folder": str(self._host.workdir), "strategy": strategy}


def make_client(host: Host, implementation: Implementation | None) -> PageClient:
    """Return an HTTP client that runs on a host; `implementation` None: lab7's own client."""
    return OurClient(host) if implementation is None else CommandClient(host, implementation)
