"""Emulated network of the web-cache experiment: origin files that change, clients, and the interfaces to capture.

Successive versions of a file have modification times one second apart, all of them long ago. Last-Modified has a
resolution of one second. It nevertheless distinguishes versions that the experiment writes milliseconds apart, and is a
strong validator (RFC 9110 section 8.8.2.2).
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from lab7.experiments.cache.claims.freshness import LiveObject, Version
from lab7.experiments.harness.capture.capture import CaptureInterface
from lab7.experiments.harness.driver import Driver, DriverError, window_of
from lab7.experiments.harness.experiment import Run
from lab7.experiments.harness.implementations.registry import DEFAULT_PORT, PROXY_PORTS
from lab7.experiments.harness.measurement import Window, first_interface
from lab7.experiments.http.lab import MODIFIED, NAME, ORIGIN_ADDRESS, make_site
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.web import PROXY_ADDRESS

VISITOR = "lab7.experiments.http.drivers.visitor"
VISIT_TIMEOUT_S = 60.0
AT_SECOND_CLIENT, AT_LINK = first_interface("client2"), "access link:s1"
NO_CACHE, MODES = "none", ("forward", "reverse")
# Objects that change during the run: name -> (max-age in seconds or None for no-cache, Cache-Control value).
LIVE: Mapping[str, tuple[float | None, str]] = {
    "brief.txt": (1, "max-age=1"),
    "strict.txt": (1, "max-age=1, must-revalidate"),
    "lasting.txt": (2, "max-age=2"),
    "checked.txt": (None, "no-cache"),
}
LIVE_OCTETS = 400


class VisitFailedError(EmulationError):
    """Failure of a page load by a client; the message contains the error output of the client program."""


class Visitor:
    """HTTP client on one host; it sends its requests to a forward or reverse proxy or, for NO_CACHE, to the origin."""

    def __init__(self, bed: Testbed, host: str, mode: str) -> None:
        words = [VISITOR, *map(str, server_address(mode)), NAME]
        self._driver = Driver(bed.host(host), [*words, f"http://{NAME}"] if mode == "forward" else words)

    def visit(self, paths: Sequence[str]) -> Window:
        """Request these paths over one connection; return the time span of the visit. Raises VisitFailedError."""
        self._driver.send({"visit": list(paths)})
        return self.done(VISIT_TIMEOUT_S)

    def keep_asking(self, paths: Sequence[str], for_s: float, every_s: float, seed: int) -> None:
        """Make the client program request these paths at random times; return at once. Call done() for the end."""
        self._driver.send({"keep": list(paths), "for_s": for_s, "every_s": every_s, "seed": seed})

    def done(self, timeout_s: float) -> Window:
        """Wait for the last response of visit() or keep_asking(); return the time span. Raises VisitFailedError."""
        try:
            return window_of(self._driver.receive(timeout_s))
        except DriverError as error:
            raise VisitFailedError(f"a client on the campus failed to load its objects: {error}") from error


class Pages:
    """Web pages of equal size as files in `folder`, one page for each repetition of the measurement."""

    def __init__(self, folder: Path, rounds: int, objects: int, size_bytes: int, seed: int) -> None:
        self._files = [
            make_site(folder / _page(number), objects, size_bytes, seed + number) for number in range(rounds)
        ]
        self._random = Random(seed)
        self._version = 0
        self._contents: dict[Path, list[bytes]] = {path: [path.read_bytes()] for files in self._files for path in files}

    def objects(self) -> dict[bytes, tuple[bytes, ...]]:
        """Return the contents of all versions of each object, oldest first, by request path."""
        return {
            path.encode(): tuple(self._contents[file])
            for number, files in enumerate(self._files)
            for path, file in zip(self.paths(number), files, strict=True)
        }

    def paths(self, number: int) -> list[str]:
        """Return the request paths of page `number`: the page itself and its embedded objects."""
        return [f"/{_page(number)}/{'' if path.name == 'index.html' else path.name}" for path in self._files[number]]

    def change(self) -> None:
        """Replace every file by a new version of equal length, with a later modification time."""
        self._version += 1
        for path in (path for files in self._files for path in files):
            # The changed octets need not be a valid image, since no client displays the image.
            mark = f"<!-- {self._random.randbytes(8).hex()} -->".encode()
            self._contents[path].append(path.read_bytes()[: -len(mark)] + mark)
            replace_file(path, self._contents[path][-1], self._version)


class LiveObjects:
    """Files in `folder` that are replaced while clients request them, and the times of all replacements.

    Their names and Cache-Control values are in LIVE.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder / "live"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._random = Random(seed)
        self._versions: dict[str, list[tuple[bytes, int | None]]] = {name: [] for name in LIVE}
        for name in LIVE:
            self.replace(name)

    @staticmethod
    def paths() -> list[str]:
        """Return the request paths of all objects in LIVE."""
        return [f"/live/{name}" for name in LIVE]

    def replace(self, name: str) -> None:
        """Replace one file by its next version, and record the time of the replacement."""
        versions = self._versions[name]
        head = f"{name}, version {len(versions)}\n".encode()
        body = head + self._random.randbytes((LIVE_OCTETS - len(head)) // 2).hex().encode()
        replace_file(self._folder / name, body, len(versions))
        # Take the time after the replacement, since any request from then on gets the new version from the origin.
        replaced_ns = time.time_ns()
        if versions:
            versions[-1] = (versions[-1][0], replaced_ns)
        versions.append((body, None))

    def seen(self) -> dict[bytes, LiveObject]:
        """Return for each request path all versions of the object, with the times of their replacement."""
        return {
            f"/live/{name}".encode(): LiveObject(LIVE[name][0], [Version(*one) for one in versions])
            for name, versions in self._versions.items()
        }


def replace_file(path: Path, content: bytes, version: int) -> None:
    """Replace a file's content atomically; set a modification time that is one second later for each version number."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    os.utime(fresh, (MODIFIED + version, MODIFIED + version))
    fresh.replace(path)


def origin_flags(max_age_s: int) -> str:
    """Return the origin's command-line options for Cache-Control: one for each file in LIVE, one for all others."""
    rules = [f"/live/{name}={value}" for name, (_, value) in LIVE.items()]
    return shlex.join(word for rule in [*rules, f"*=max-age={max_age_s}"] for word in ("--cache-control", rule))


def server_address(mode: str) -> tuple[str, int]:
    """Return the (address, port) that a client connects to: the proxy's for this mode, the origin's for NO_CACHE."""
    return (ORIGIN_ADDRESS, DEFAULT_PORT) if mode == NO_CACHE else (PROXY_ADDRESS, PROXY_PORTS[mode])


def choose_mode(context: Run, asked: str) -> str:
    """Return the proxy's mode, forward or reverse, for the value `asked` of the parameter `mode`.

    The value `any` means forward, unless the proxy program can only be a reverse proxy.
    """
    proxy = context.replacements.get("proxy")
    if asked != "any":
        return asked
    return "reverse" if proxy is not None and proxy.modes == ("reverse",) else "forward"


def campus_interfaces(bed: Testbed, mode: str) -> list[str | CaptureInterface]:
    """Return the interfaces to capture: one on each host, and the campus end of the access link."""
    link = bed.net.linksBetween(bed.net.get("s1"), bed.net.get("s2"))[0]
    near = next(end for end in (link.intf1, link.intf2) if end.node.name == "s1")
    hosts = ["client", "client2", "origin", *(["proxy"] if mode != NO_CACHE else [])]
    return [*hosts, CaptureInterface(AT_LINK, "/proc/self/ns/net", near.name)]


def _page(number: int) -> str:
    return f"page-{number}"
