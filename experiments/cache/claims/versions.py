"""Versions of an object at the origin, compared with captured responses by status, length and octets.

    confirm(verdict, {b"/a": (b"old", b"new")}, [load])      the verdict; failed if a response is none of these

RFC 9110 sections 15.3.1 (200) and 9.3.1 (GET). A claim about less time or fewer octets compares transfers of the same
objects: an implementation that responds with an error, an empty body or other octets must not satisfy the claim.
`validation` and `freshness` decide which version was current, and which version may still be served.
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
    """Return the content of every file in an origin's folder by URL path; an index file also has its folder's path."""
    found: dict[bytes, tuple[bytes, ...]] = {}
    for file in (file for file in sorted(folder.rglob("*")) if file.is_file()):
        path, octets = f"/{file.relative_to(folder).as_posix()}", (file.read_bytes(),)
        found[path.encode()] = octets
        if file.name == INDEX:
            found[path.removesuffix(INDEX).encode()] = octets
    return found


def difference(exchange: Exchange, objects: Objects) -> Contradiction | None:
    """Return the difference of a response from all versions of the requested object; None if equal to one version."""
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


def confirm(
    verdict: Verdict, objects: Objects, loads: Sequence[PageLoad], elsewhere: Sequence[PageLoad] = ()
) -> Verdict:
    """Return the verdict, changed to failed or undecided unless all clients got the origin's objects.

    `elsewhere`: loads of another capture, whose frames the verdict cannot cite.
    """
    if verdict.verdict == "failed":
        return verdict
    for those, is_own in ((loads, True), (elsewhere, False)):
        unfit = insufficiency(those) if those else None
        if unfit is not None:
            return undecided(verdict.id, f"Not decidable: {unfit}.")
        try:
            for load in those:
                load.require_valid()
                require(load.exchanges, objects)
        except Contradiction as found:
            return failed(verdict.id, found.evidence, found.frames if is_own else ())
    return verdict


def bulk_difference(traffics: Iterable[Traffic], objects: Objects) -> str | None:
    """Return the first difference between a bulk load's responses and the origin's objects; None if all are equal.

    Responses without their end, or with a gap, are skipped: the caller reports their number.
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
