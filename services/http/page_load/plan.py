"""What every strategy works on: the load under way, its base page, and a way to do several things at once."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from services.http.page_load.load import Fetched, LoadError, Session, Sink
from services.http.page_load.page import find_links
from services.http.urls import Link, Origin

Result = TypeVar("Result")


class Plan:
    """One load under way: the session, the base page's content as it came, and what was fetched."""

    def __init__(self, session: Session, link: Link, parallel: int, sink: Sink | None) -> None:
        self.session = session
        self.link = link
        self.parallel = parallel
        self.fetched: list[Fetched] = []
        self._page = bytearray()
        self._sink = sink

    def take_page(self, data: bytes) -> None:
        """Keep a piece of the base page."""
        if len(self._page) + len(data) > self.session.bounds.page_octets:
            raise LoadError(f"{self.link.url} is larger than {self.session.bounds.page_octets} octets")
        self._page += data

    @property
    def sink(self) -> Sink:
        """Where the content of the first object goes."""
        return self._sink or self.take_page

    def named(self) -> list[Link]:
        """Return what the base page, which has been fetched, names."""
        kind = self.fetched[0].fields.get(b"content-type") or b""
        if not kind.lower().startswith((b"text/html", b"application/xhtml")):
            return []
        links = find_links(bytes(self._page), self.link.url)
        if len(links) > self.session.bounds.objects:
            raise LoadError(f"{self.link.url} names more than {self.session.bounds.objects} objects")
        return links

    def named_by_origin(self) -> dict[Origin, list[Link]]:
        """Return what the base page names, an entry for each origin, in the order of the page."""
        groups: dict[Origin, list[Link]] = {}
        for link in self.named():
            groups.setdefault(link.origin, []).append(link)
        return groups


def only(link: Link, fetched: Sequence[Fetched]) -> Fetched:
    """Return the one response that was asked for; raises LoadError where the server closed instead."""
    if not fetched:
        raise LoadError(f"{link.url} was not loaded: the server closed the connection")
    return fetched[0]


async def all_at_once(jobs: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run all jobs at once; the first failure cancels the others and is the one that is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]
