"""HTTP clients that load web pages on an emulated host: lab7's own, curl and other programs, or the user's own."""

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
    """Interface of a client program on one host that loads web pages by different strategies.

    A strategy is an HTTP version and use of connections.
    """

    name: str

    def supports(self, strategy: str) -> bool:
        """Return True if the client can load a page by this strategy, such as `1.1-persistent`."""

    def load(self, strategy: str, url: str, objects: Sequence[str] = ()) -> Window:
        """Load a page and its referenced objects (URLs) by a strategy; return the time span. Raises LoadFailedError."""


class OurClient:
    """lab7's own HTTP client (lab7.services.http.client); one process carries out all page loads."""

    name = "lab7.services.http.client"

    def __init__(self, host: Host) -> None:
        self._driver = Driver(host, [LOADER])

    def supports(self, strategy: str) -> bool:  # noqa: ARG002
        """Return True, since lab7's client implements every strategy (HTTP version and use of connections)."""
        return True

    def load(self, strategy: str, url: str, objects: Sequence[str] = ()) -> Window:  # noqa: ARG002
        """Load a page like PageClient.load(); ignore `objects`, since this client parses the page."""
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
    """Client program that is started anew for each page load, such as curl or a program given by the user."""

    def __init__(self, host: Host, implementation: Implementation) -> None:
        implementation.require()
        self.name = implementation.describe()
        self._host = host
        self._implementation = implementation

    def supports(self, strategy: str) -> bool:
        """Return True for a single object, and for strategies with a command line in the program's registry entry."""
        return strategy == SINGLE or self._implementation.supports(strategy)

    def load(self, strategy: str, url: str, objects: Sequence[str] = ()) -> Window:
        """Load a page like PageClient.load(), by one run of the client program."""
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
    """Return a client that runs on this host; None as `implementation` means lab7's own."""
    return OurClient(host) if implementation is None else CommandClient(host, implementation)
