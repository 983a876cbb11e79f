"""Choice of the network for a command that accepts a topology or a network's name: a running network, or a new one."""

from __future__ import annotations

import click
from click.core import ParameterSource

from lab7.experiments.harness.catalogue.topologies import find_topology
from lab7.experiments.harness.cli.running.publication import default_name, file_of
from lab7.topologies.emulation.control import registry
from lab7.topologies.emulation.control.client import NotUpError, ask
from lab7.topologies.emulation.user_module import is_user_file

# Parameters of a command that describe a new network.
DESCRIBING = ("given", "links", "switch", "stp", "arp", "ipv6", "sandboxed", "timed")

new_option = click.option("--new", is_flag=True, help="start a new network, even if one of this name is up")


def running_network(text: str, timed: str, *, new: bool) -> str | None:
    """Return the name of the running network that `text`, a name or a topology, refers to; None to start a new network.

    A new network is also started if --new or an option that describes a network is on the command line.
    """
    context = click.get_current_context()
    described = any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in DESCRIBING)
    # If the sandbox contained the folder of control sockets, a network that is being started would find itself.
    if new or described or timed == "virtual" or registry.is_inherited():
        return None
    if not is_user_file(text.partition(":")[0]):
        connection = registry.connect(text)
        if connection is None:
            return None
        connection.close()
        return text
    if not registry.names():
        return None
    entry = find_topology(text)
    for name in registry.names():
        if name == default_name(entry.name) or name.startswith(f"{default_name(entry.name)}-"):
            try:
                if ask(name, "info").get("file") == file_of(entry):
                    return name
            except NotUpError:
                continue
    return None


def say_running(name: str) -> None:
    """Print on standard error the name of the running network in which a command runs."""
    click.echo(f"lab7: in the running network {name} (--new starts another)", err=True)
