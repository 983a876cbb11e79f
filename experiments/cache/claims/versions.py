"""Comparison of captured responses with the versions of each object at the origin, by status, length and octets.

    versions = {b"/a": (b"old", b"new")}        # contents of each object by URL path, oldest first
    verdict = confirm(verdict, versions, [page_load])     # failed if a response has another content

`verdict` is a verdict on a claim (a statement of the course), reached without regard to content; page_load has the
captured responses of one page load. Claims of shorter times or fewer octets compare transfers of the same objects. An
implementation that responds with an error, an empty body or other octets must not satisfy such a claim. Which version
was current, and which may still be served, is decided in `validation` and `freshness`. Sources: RFC 9110 sections
15.3.1 (200) and 9.3.1 (GET).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lab7.experiments.cache.wire.legs import path_of, status_of, text
from lab7.experiments.harness.judge.verdict import Contradiction, Verdict, failed, insufficiency, undecided
from lab7.experiments.http.wire.bulk import Traffic
from lab7.experiments.http.wire.http1 import Exchange
from lab7.experiments.http.wire.page_load import PageLoad

# Objects of an origin: URL path -> content of each version, oldest first.
Objects = Mapping[bytes, Sequence[bytes]]
INDEX = "index.html"


def objects_in(folder: Path) -> dict[bytes, tuple[bytes, ...]]:
    """Return the contents of the files in an origin's folder: URL path -> (content,), a tuple of one version.

    An index file has two paths: its own, and that of its folder.
    """
    found: dict[bytes, tuple[bytes, ...]] = {}
    for file in (file for file in sorted(folder.rglob("*")) if file.is_file()):
        path, octets = f"/{file.relative_to(folder).as_posix()}", (file.read_bytes(),)
        found[path.encode()] = octets
        if file.name == INDEX:
            found[path.removesuffix(INDEX).encode()] = octets
    return found


def difference(exchange: Exchange, objects: Objects) -> Contradiction | None:
    """Return a Contradiction on how a response differs from all versions of its object; None if it equals a version."""
    path, response = path_of(exchange), exchange.response
    if response is None:
        frame = exchange.request.frames[0]
        return Contradiction(f"The request for {text(path)} in frame {frame} gets no complete response.", frame)
    frame = response.frames[0]
    if status_of(response) != 200:
        return Contradiction(f"{text(path)} gets {status_of(response)} in frame {frame}, not 200.", frame)
    if response.body not in objects.get(path, ()):
        return Contradiction(_not_held(path, response.body, frame), frame)
    return None


def require(exchanges: Iterable[Exchange], objects: Objects) -> None:
    """Raise Contradiction unless every response equals a version of the requested object at the origin."""
    for exchange in exchanges:
        if (found := difference(exchange, objects)) is not None:
            raise found


def confirm(verdict: Verdict, objects: Objects, *captured: Sequence[PageLoad]) -> Verdict:
    """Return the verdict unchanged if all clients got the origin's objects; otherwise change it to failed or undecided.

    `captured`: the page loads of each capture.
    """
    if verdict.verdict == "failed":
        return verdict
    for those in captured:
        unfit = insufficiency(those) if those else None
        if unfit is not None:
            return undecided(verdict.id, f"Not decidable: {unfit}.")
        try:
            for load in those:
                load.require_valid()
                require(load.exchanges, objects)
        except Contradiction as found:
            return failed(verdict.id, found.evidence, found.frames)
    return verdict


def bulk_difference(traffics: Iterable[Traffic], objects: Objects) -> str | None:
    """Return a description of the first captured response that differs from the origin's object; None if there is none.

    Incomplete responses, and responses with a gap in the capture, are skipped; the caller reports their number.
    """
    for crossing in (crossing for traffic in traffics for crossing in traffic.crossings):
        content, path = crossing.content, crossing.path
        if not crossing.end:
            continue
        if crossing.status != b"200":
            return f"The request for {text(path)} in frame {crossing.frame} gets {text(crossing.status)}, not 200."
        if content is not None and content not in objects.get(path, ()):
            return _not_held(path, content, crossing.frame, "the response to the request in")
    return None


def _not_held(path: bytes, octets: bytes, frame: int, where: str = "the response in") -> str:
    told = f"{len(octets)} octets (SHA-256 {hashlib.sha256(octets).hexdigest()[:8]})"
    return f"For {text(path)}, {where} frame {frame} has {told} that are no version of the origin."
