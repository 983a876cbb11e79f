"""Cached list of all experiments, topologies and test matrices, for commands that display names and descriptions.

A test matrix is a test of all servers against all clients. The cache saves the commands the import of all modules. It
is valid as long as neither a Python or TOML file of lab7 nor an entry point of another distribution changes.

A wheel contains a listing, too: listing.json, which scripts/release.sh writes by running this module. It is used until
the cache exists, so that the first command after an installation is as fast as later ones.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lab7.experiments.harness.catalogue import entry_points
from lab7.experiments.harness.claims import Claim
from lab7.experiments.harness.results.atomic import write_atomically
from lab7.topologies.emulation.virtual import kernel

PACKAGES = ("experiments", "topologies", "services")
PACKAGE_ROOT = Path(__file__).resolve().parents[3]
# Module that imports all experiments and topologies: imported by name, and only without a valid cache.
DISCOVERY = "lab7.experiments.harness.discovery"
# The listing that a wheel brings.
SHIPPED = Path(__file__).with_name("listing.json")
# Version of the format of the cache file.
FORMAT = 2


@dataclass(frozen=True)
class ParameterText:
    """Parameter of an experiment, as `lab7 list` shows it: default value and meaning as text."""

    name: str
    default: str
    meaning: str


@dataclass(frozen=True)
class ListedExperiment:
    """Experiment as listed by `lab7 list`: name, module, question, claim ids, replaceable programs, parameters.

    `roles`: services and clients whose program can be replaced, such as `origin`. `own_claims`: claims that the
    experiment itself declares, in addition to those of the course.
    """

    name: str
    module: str
    question: str
    claims: tuple[str, ...]
    roles: tuple[str, ...]
    parameters: tuple[ParameterText, ...]
    own_claims: tuple[Claim, ...]


@dataclass(frozen=True)
class ListedTopology:
    """Topology as listed by `lab7 list`: name, module, docstring, names of its parameters, names of its hosts."""

    name: str
    module: str
    text: str
    parameters: tuple[str, ...]
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """Content of `lab7 list`: experiments, test matrices (name -> module) and topologies, each sorted by name."""

    experiments: dict[str, ListedExperiment]
    matrices: dict[str, str]
    topologies: dict[str, ListedTopology]


@cache
def listing() -> Listing:
    """Return the content of `lab7 list`, from the cache file if nothing has changed since it was written."""
    fingerprint = _fingerprint()
    path = _cache_path()
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["fingerprint"] == fingerprint:
            return _decode(data["listing"])
    made = _shipped() or _make()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"fingerprint": fingerprint, "listing": asdict(made)}))
    return made


def _shipped() -> Listing | None:
    """Return the listing that the wheel contains; None if it has none or is outdated, or if plug-ins are installed.

    A listing is outdated if a file of lab7 has changed since.
    """
    if any(entry_points.declared(group) for group in entry_points.GROUPS):
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        data = json.loads(SHIPPED.read_text(encoding="utf-8"))
        if data["content"] == _content_hash():
            return _decode(data["listing"])
    return None


def ship() -> None:
    """Write listing.json, the listing that a wheel contains; called when a wheel is built.

    Exits with an error if plug-ins are installed, since the listing must be that of lab7 alone.
    """
    SHIPPED.unlink(missing_ok=True)
    if any(entry_points.declared(group) for group in entry_points.GROUPS):
        raise SystemExit("lab7: an installed package adds entry points: write the listing where lab7 is alone")
    write_atomically(SHIPPED, json.dumps({"content": _content_hash(), "listing": asdict(_make())}))


def _content_hash() -> str:
    """Return a hash of the names and contents of lab7's files; paths and times of the copies do not matter."""
    found = hashlib.sha256()
    for path in _paths():
        content = Path(path).read_bytes()
        found.update(f"{os.path.relpath(path, PACKAGE_ROOT)}\0{len(content)}\0".encode())
        found.update(content)
    return found.hexdigest()


def _make() -> Listing:
    # A tenth of the imports' time is garbage collection, which finds nothing: modules stay.
    collects = gc.isenabled()
    gc.disable()
    try:
        discovery = importlib.import_module(DISCOVERY)
        return Listing(discovery.list_experiments(), discovery.list_matrices(), discovery.list_topologies())
    finally:
        if collects:
            gc.enable()


def _decode(data: Any) -> Listing:
    experiments = {
        name: ListedExperiment(
            **{
                **one,
                "claims": tuple(one["claims"]),
                "roles": tuple(one["roles"]),
                "parameters": tuple(ParameterText(**each) for each in one["parameters"]),
                "own_claims": tuple(Claim(**each) for each in one["own_claims"]),
            }
        )
        for name, one in data["experiments"].items()
    }
    topologies = {
        name: ListedTopology(**{**one, "parameters": tuple(one["parameters"]), "hosts": tuple(one["hosts"])})
        for name, one in data["topologies"].items()
    }
    return Listing(experiments, data["matrices"], topologies)


def _cache_path() -> Path:
    # Without a cache folder, a path below /dev/null makes every access fail, so that nothing is cached.
    folder = kernel.user_cache() or Path(os.devnull)
    place = hashlib.sha256(str(PACKAGE_ROOT).encode()).hexdigest()[:16]
    return folder / "lab7" / f"listing-{place}.json"


def _fingerprint() -> str:
    """Return a hash of all that `lab7 list` depends on: format, Python version, lab7's files, entry points.

    A file counts with its name, size and modification time.
    """
    parts = [str(FORMAT), sys.version, *_files(), *_foreign()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _files() -> Iterator[str]:
    return (_state(path) for path in _paths())


def _paths() -> Iterator[str]:
    for package in PACKAGES:
        for folder, _, names in sorted(os.walk(PACKAGE_ROOT / package)):
            for name in sorted(names):
                if name.endswith((".py", ".toml")):
                    yield os.path.join(folder, name)


def _foreign() -> Iterator[str]:
    for group in entry_points.GROUPS:
        for point in entry_points.declared(group):
            yield f"{group}:{point.name}:{point.value}"
            with contextlib.suppress(ImportError, ValueError):
                spec = importlib.util.find_spec(point.module)
                if spec is not None and spec.origin:
                    yield _state(spec.origin)


def _state(path: str) -> str:
    with contextlib.suppress(OSError):
        status = os.stat(path)
        return f"{path}:{status.st_size}:{status.st_mtime_ns}"
    return path


if __name__ == "__main__":
    ship()
