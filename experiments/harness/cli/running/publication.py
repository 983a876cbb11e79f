"""Publication of a running network under a name: control socket and control server, for commands in other terminals."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import click

from lab7.experiments.harness.catalogue.topologies import TopologyEntry
from lab7.topologies.emulation.control import registry
from lab7.topologies.emulation.control.protocol import NAME
from lab7.topologies.emulation.control.server import ControlServer
from lab7.topologies.emulation.process.interpreter import module_command
from lab7.topologies.emulation.testbed import Testbed

SHELL = "lab7.experiments.harness.cli.running.attached_shell"
_OTHER_CHARACTERS = re.compile(r"[^A-Za-z0-9_.+-]+")


def default_name(topology: str) -> str:
    """Return the default name of a network: the topology's name with only the characters valid in names."""
    name = _OTHER_CHARACTERS.sub("-", topology).lstrip("_.+-")[:40]
    return name if NAME.fullmatch(name) else "network"


def file_of(entry: TopologyEntry) -> str:
    """Return the absolute path of a topology's file, with `:NAME` if given; an empty string for a topology of lab7."""
    if not entry.called:
        return ""
    file, colon, chosen = entry.called.partition(":")
    return f"{Path(file).resolve()}{colon}{chosen}"


@contextlib.contextmanager
def served(bed: Testbed, entry: TopologyEntry, published: registry.Published) -> Iterator[ControlServer]:
    """Serve the control socket of a running network during a `with` block."""
    about = {
        "name": published.name,
        "pid": published.pid,
        "topology": entry.name,
        "file": file_of(entry),
        "tries": list(entry.tries),
        "text": entry.text.strip(),
    }
    main = threading.main_thread().ident

    def stop() -> None:
        if main is not None:
            click.echo(f"Taken down by `lab7 down {published.name}`.")
            signal.pthread_kill(main, signal.SIGTERM)

    with ControlServer(bed, published.listener, about, module_command(SHELL), stop) as server:
        yield server
