"""Page clients of experiments: lab7's, one of the registry, or a program of the user's own, behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from experiments.harness.driver import LOAD_TIMEOUT_S, Driver, DriverError, run_command
from experiments.harness.implementations.registry import Implementation, expand
from experiments.harness.measurement import LoadFailedError, Window
from topologies.emulation.node import Host

LOADER = "experiments.http.drivers.loader"
SINGLE = "single"


class PageClient(Protocol):
    """A client on one host that loads pages."""

    name: str

    def supports(self, strategy: str) -> bool:
        """Return True if the client can load a page by this strategy."""

    def load(self, strategy: str, url: str, objects: Sequence[str] = ()) -> Window:
        """Load a page, which names `objects` (URLs). Raises LoadFailedError."""


class OurClient:
    """services.http.client, in one process for all loads."""

    name = "services.http.client"

    def __init__(self, host: Host) -> None:
        self._driver = Driver(host, [LOADER])

    def supports(self, strategy: str) -> bool:  # noqa: ARG002
        """Return True: the loader implements every strategy."""
        return True

    def load(self, strategy: str, url: str, objects: Sequence[str] = ()) -> Window:  # noqa: ARG002
        """Load a page, see PageClient; the loader takes the objects from the page."""
        return self._request({"strategy": strategy, "page": url})

    def load_together(self, strategy: str, urls: Sequence[str]) -> Window:
        """Load several objects of one origin at once, in this order, without a page. Raises LoadFailedError."""
        return self._request({"strategy": strategy, "objects": list(urls)})

    def _request(self, request: dict[str, Any]) -> Window:
        try:
            return self._driver.request(request, LOAD_TIMEOUT_S)
        except DriverError as error:
            raise LoadFailedError(str(error), error.window) from error


class CommandClient:
    """A client of the registry or of the user: one process a load."""

    def __init__(self, host: Host, implementation: Implementation) -> None:
        implementation.require()
        self.name = implementation.describe()
        self._host = host
        self._implementation = implementation

    def supports(self, strategy: str) -> bool:
        """Return True if the registry has a command of the client for the strategy; any one can load single objects."""
        return strategy == SINGLE or self._implementation.supports(strategy)

    def load(self, strategy: str, url: str, objects: Sequence[str] = ()) -> Window:
        """Load a page, see PageClient."""
        return run_command(self._host, expand(self._template(strategy), self._values(strategy, url, objects)))

    def _template(self, strategy: str) -> str:
        if self._implementation.command is not None:
            return self._implementation.command
        commands = self._implementation.commands
        return commands[next(iter(commands)) if strategy == SINGLE else strategy]

    def _values(self, strategy: str, url: str, objects: Sequence[str]) -> dict[str, Any]:
        return {"url": url, "objects": list(objects), "folder": str(self._host.workdir), "strategy": strategy}


def make_client(host: Host, implementation: Implementation | None) -> PageClient:
    """Return the client of a host; `implementation` None: lab7's own."""
    return OurClient(host) if implementation is None else CommandClient(host, implementation)
