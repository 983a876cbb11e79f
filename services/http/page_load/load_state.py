"""State of a page load: base page, links to its objects, objects fetched, and the maximum number of connections.

The functions that load a page (http1_strategies.py, http2_strategies.py) read and change this state.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from lab7.services.http.page_load.connector import Connector, Fetched, LoadError, Sink
from lab7.services.http.page_load.html_links import find_links
from lab7.services.http.urls import Link, Origin

Result = TypeVar("Result")


class LoadState:
    """State of one page load: the connector, the link to the page, the base page, and the responses so far."""

    def __init__(self, connector: Connector, link: Link, parallel: int, sink: Sink | None) -> None:
        self.connector = connector
        self.link = link
        self.parallel = parallel
        self.fetched: list[Fetched] = []
        self._page = bytearray()
        self._sink = sink

    def append_page(self, data: bytes) -> None:
        """Append a piece of content to the base page; raises LoadError if the page exceeds the size limit."""
        if len(self._page) + len(data) > self.connector.limits.page_octets:
            raise LoadError(f"{self.link.url} is larger than {self.connector.limits.page_octets} octets")
        self._page += data

    @property
    def sink(self) -> Sink:
        """Callback that receives the content of the first object: given by the caller, or else append_page()."""
        return self._sink or self.append_page

    def links(self) -> list[Link]:
        """Return links to the objects of the base page (already fetched); raises LoadError if there are too many."""
        kind = self.fetched[0].fields.get(b"content-type") or b""
        if not kind.lower().startswith((b"text/html", b"application/xhtml")):
            return []
        links = find_links(bytes(self._page), self.link.url, kind)
        if len(links) > self.connector.limits.objects:
            raise LoadError(f"{self.link.url} links to more than {self.connector.limits.objects} objects")
        return links

    def links_by_origin(self) -> dict[Origin, list[Link]]:
        """Return links to the objects of the base page, in document order, as lists keyed by origin."""
        groups: dict[Origin, list[Link]] = {}
        for link in self.links():
            groups.setdefault(link.origin, []).append(link)
        return groups


def single_response(link: Link, fetched: Sequence[Fetched]) -> Fetched:
    """Return the first response in `fetched`.

    Raises LoadError if it is empty because the server closed the connection.
    """
    if not fetched:
        raise LoadError(f"{link.url} was not loaded: the server closed the connection")
    return fetched[0]


async def run_concurrently(jobs: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run coroutines concurrently and return their results; the first exception cancels all and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]
