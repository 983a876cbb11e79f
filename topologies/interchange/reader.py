"""Reader of topologies of other tools by their path: a folder with lab.conf (Kathara), or *.clab.yml (containerlab)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.interchange.containerlab import SUFFIXES, read_containerlab
from lab7.topologies.interchange.kathara import CONF, read_kathara
from lab7.topologies.interchange.lab import Lab


def find_lab(name: str) -> Callable[[], Lab] | None:
    """Return a function that reads the topology of another tool at a path as a Lab.

    Returns None if there is none at the path.
    """
    path = Path(name)
    if name.endswith(SUFFIXES):
        return lambda: _read(read_containerlab, path)
    if path.name == CONF:
        return lambda: _read(read_kathara, path.parent)
    if (path / CONF).is_file():
        return lambda: _read(read_kathara, path)
    return None


def _read(reader: Callable[[Path], Lab], path: Path) -> Lab:
    """Read the topology at a path by the function `reader`, and return it as a Lab. Raises TopologyError.

    TopologyError replaces OSError, too.
    """
    try:
        return reader(path)
    except OSError as error:
        raise TopologyError(f"{error.filename or path}: {error.strerror}") from error
