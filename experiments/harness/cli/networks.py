"""Commands `lab7 up`, `lab7 shell` and `lab7 exec`, which start an emulated network from a topology.

`up` keeps the network running until Ctrl-C, `shell` opens Mininet's command line on it, and `exec` runs one command in
a host and then stops the network.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import click

from lab7.experiments.harness import clock
from lab7.experiments.harness.catalogue import topology_parameters
from lab7.experiments.harness.catalogue.suggestion import did_you_mean
from lab7.experiments.harness.catalogue.topologies import TopologyEntry, UnknownNameError, find_topology
from lab7.experiments.harness.cli import common, scripts
from lab7.experiments.harness.cli.mininet_shell import Shell, addresses_of
from lab7.experiments.harness.cli.running import session
from lab7.experiments.harness.cli.running.choice import new_option, running_network, say_running
from lab7.experiments.harness.cli.running.publication import default_name, served
from lab7.experiments.harness.cli.start_progress import start_progress
from lab7.topologies.emulation import sandbox, script, tools
from lab7.topologies.emulation.control import registry
from lab7.topologies.emulation.control.server import ControlServer
from lab7.topologies.emulation.process.interpreter import module_command
from lab7.topologies.emulation.testbed import Testbed

# Exit code of shells for a program that does not exist.
NOT_FOUND = 127
# Module that serves a network's web page; given by name, because it is above this layer.
VIEW = "lab7.experiments.view"
name_option = click.option(
    "--name",
    help="name by which `lab7 attach`, `exec`, `capture` and others find the network (default: the topology's)",
)


@click.command("up")
@click.argument("topology")
@common.set_option
@common.links_option
@common.sandbox_option
@common.stp_option
@common.switch_option
@common.arp_option
@common.ipv6_option
@common.real_time_option
@name_option
@click.option("--view", is_flag=True, help="serve a page on loopback that shows the network, as `lab7 view` does")
def up_command(
    topology: str,
    given: dict[str, str],
    timed: str,  # noqa: ARG001
    name: str | None,
    view: bool,
    **options: Any,
) -> None:
    """Start a topology with its services, print its hosts and example commands, and keep it up until Ctrl-C.

    From other terminals, `lab7 exec`, `attach`, `capture`, `link`, `service` and `open` go into the network; `lab7 ps`
    lists the networks that are up, and `lab7 down` takes one down. If a server exits, a message is printed and the
    network stays up.

    TOPOLOGY is a name (`lab7 list`) or a Python file that exports `topos`, or has classes derived from Topo (FILE:NAME
    for one of several), or a lab of Kathara (folder of lab.conf) or containerlab (*.clab.yml); the same holds for shell
    and exec. A file without either, which calls Mininet() itself, is run as by `lab7 script`.
    """
    if _is_script(topology, given, options, publishes=bool(name or view)):
        return
    network = _testbed(topology, given, publish=True, name=name, view=view, server_died=_tell, **options)
    with network as (entry, bed):
        _describe(entry, bed)
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        # Print the line "Up." after installing signal handlers, since a script may send SIGTERM when the line appears.
        click.echo(f"\nUp, by the name {network.name}. Ctrl-C takes it down.")
        ended.wait()


@click.command("shell")
@click.argument("topology")
@common.set_option
@common.links_option
@common.sandbox_option
@common.stp_option
@common.switch_option
@common.arp_option
@common.ipv6_option
@common.real_time_option
@name_option
@new_option
def shell_command(
    topology: str, given: dict[str, str], timed: str, name: str | None, new: bool, **options: Any
) -> None:
    """Start a topology with its services and open Mininet's command line on it (HOST COMMAND, help, exit).

    If a network of that name is up, the command line is opened on it, as by `lab7 attach`, unless --new or an option
    that describes a network is given.

    If a server exits, a message is printed and the network stays up. A file that calls Mininet() itself is run as by
    `lab7 script`, and opens the command line where it calls CLI().
    """
    if _is_script(topology, given, options, publishes=bool(name)):
        return
    if name is None and (running := running_network(topology, timed, new=new)) is not None:
        say_running(running)
        raise click.exceptions.Exit(session.run_in(running, "attach"))
    with _testbed(topology, given, publish=True, name=name, server_died=_tell, **options) as (entry, bed):
        _describe(entry, bed)
        Shell(bed.net)


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@common.set_option
@common.links_option
@common.sandbox_option
@common.stp_option
@common.switch_option
@common.arp_option
@common.ipv6_option
@common.time_option
@new_option
@click.argument("topology")
@click.argument("host")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_command(
    topology: str, host: str, command: tuple[str, ...], given: dict[str, str], timed: str, new: bool, **options: Any
) -> None:
    """Start a topology, run COMMAND in HOST, and stop the topology; exits with the code of COMMAND.

    If a network of that name is up (`lab7 ps`), COMMAND runs in it, unless --new or an option that describes a network
    is given.

    \b
    lab7 exec web client -- curl -s http://www.example.com/
    """
    # Remove the `--` before the command, which click leaves in `command`.
    words = list(command[1:] if command[0] == "--" else command)
    if not words:
        context = click.get_current_context()
        raise click.MissingParameter(ctx=context, param=context.command.params[-1])
    if (running := running_network(topology, timed, new=new)) is not None:
        say_running(running)
        raise click.exceptions.Exit(session.run_in(running, "exec", host=host, words=words))
    virtual = common.virtual_time(timed, options["links"], options["sandboxed"])
    network = _testbed(topology, given, host=host, **options)
    if virtual is not None:
        settings = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
        settings += ["--stp"] if options["stp"] else []
        line = ["exec", *common.network_words(options), *settings, topology, host, *command]
        code = virtual.command(module_command("lab7.experiments.harness.cli", *line), f"the command in {host}")
        raise click.exceptions.Exit(code)
    with network as (_entry, bed):
        if "/" not in words[0] and tools.which(words[0]) is None:
            # Look up the program here (hosts have the machine's files and PATH), since the error would name nsenter.
            click.echo(f"lab7: {host} cannot run {words[0]}: there is no such program on this machine", err=True)
            raise click.exceptions.Exit(NOT_FOUND)
        process = bed.host(host).popen(words, stdin=None, stdout=None, stderr=None)
        code = process.wait()
    raise click.exceptions.Exit(code if code >= 0 else 128 - code)


def _is_script(name: str, given: dict[str, str], options: dict[str, Any], *, publishes: bool) -> bool:
    """Run a topology file if it is a script that calls Mininet() itself, and return True; otherwise return False."""
    if not script.builds_network(name):
        return False
    if publishes:
        raise click.UsageError(f"{name} builds its network by Mininet() itself: leave --name and --view out")
    if given or options.pop("stp"):
        raise click.UsageError(
            f"{name} builds its network by Mininet() itself, so --set and --stp have no effect: leave them out"
        )
    scripts.run(name, **options)
    return True


class _testbed:  # noqa: N801 - used as a function
    """Context manager that validates arguments, enters new namespaces, and yields (topology entry, network)."""

    def __init__(
        self,
        topology: str,
        given: dict[str, str],
        *,
        sandboxed: bool,
        host: str | None = None,
        publish: bool = False,
        name: str | None = None,
        view: bool = False,
        server_died: Callable[[str], None] | None = None,
        **options: Any,
    ) -> None:
        """Build the topology, and check that it has the host `host`. Raises click.UsageError.

        `publish`: give the network a control socket, named `name` or after the topology; `view`: serve its web page;
        other `options` are passed to Testbed.
        """
        try:
            self._entry = find_topology(topology)
        except UnknownNameError as error:
            raise click.UsageError(str(error)) from error
        # The sandbox and the kernel of virtual time run the command once more.
        if self._entry.tests and not sandbox.inside() and clock.current().word == "real":
            click.echo(
                f"lab7: `tests` of {topology} ({', '.join(self._entry.tests)}) has no effect: call such a function "
                "from a script that calls Mininet(), by `lab7 script FILE`",
                err=True,
            )
        # Pass IPv6 to the topology's constructor as well, which then adds AAAA records to the DNS zones.
        if options.get("ipv6") is not None and "ipv6" in topology_parameters.parameters_of(self._entry.make):
            given = {"ipv6": "yes" if options["ipv6"] else "no", **given}
        topo = make_topology(self._entry, given)
        if host is not None and host not in topo.hosts():
            raise click.UsageError(
                f"the topology {self._entry.name} has no host {host!r}{did_you_mean(host, topo.hosts())}: "
                f"it has {', '.join(topo.hosts())}"
            )
        self._server_died = server_died
        died = self._service_ended if server_died is not None else None
        self._bed = Testbed(topo, sandboxed=sandboxed, server_died=died, **options)
        self._sandboxed = sandboxed
        self._publish = publish
        self._view = view
        self._chosen_name = name
        self._server: ControlServer | None = None
        self.name = name or default_name(self._entry.name)

    def __enter__(self) -> tuple[TopologyEntry, Testbed]:
        with contextlib.ExitStack() as stack:
            published = None
            if self._publish:
                # In the process outside of the sandbox, this block ends when the command inside exits.
                exact = self._chosen_name is not None
                published = stack.enter_context(registry.published(self.name, exact=exact))
                self.name = published.name
                if self._view and not published.inherited:
                    # The page is served outside of the sandbox, whose loopback interface no browser reaches, until the
                    # network ends.
                    subprocess.Popen(module_command(VIEW, self.name), stdin=subprocess.DEVNULL)
            common.into_sandbox(self._sandboxed)
            with start_progress(self._bed):
                bed = stack.enter_context(self._bed)
            if published is not None:
                self._server = stack.enter_context(served(bed, self._entry, published))
            self._stack = stack.pop_all()
        return self._entry, bed

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def _service_ended(self, sentence: str) -> None:
        """Report an unexpected end of a service: call `server_died`, and notify the clients of the control socket."""
        if self._server_died is not None:
            self._server_died(sentence)
        if self._server is not None:
            self._server.notices.tell("service", state="ended", text=sentence)


def _tell(sentence: str) -> None:
    click.echo(f"lab7: {sentence}", err=True)


def make_topology(entry: TopologyEntry, given: dict[str, str]) -> Any:
    """Build a topology with parameters given as text. Raises click.UsageError for unknown or invalid parameters."""
    try:
        return topology_parameters.make_topology(entry.name, entry.make, given)
    except topology_parameters.TopologyParameterError as error:
        raise click.UsageError(str(error)) from error


def _describe(entry: TopologyEntry, bed: Testbed) -> None:
    from rich.markup import escape

    console = common.out()
    console.print(escape(entry.text.strip()), style="dim", soft_wrap=True)
    rows = []
    for host in bed.net.hosts:
        names = ", ".join(host.params.get("names", []))
        serves = "; ".join(service.command for service in bed.services.get(host.name, []))
        rows.append([host.name, ", ".join(addresses_of(host, bed.ipv6)), names, escape(serves)])
    console.print()
    console.print(common.table(["host", "address", "names", "serves"], rows))
    families = "IPv4 and IPv6" if bed.ipv6 else "IPv4"
    console.print(
        f"links: {bed.backend}; congestion control: {bed.congestion_control}; ARP: {bed.arp}; addresses: {families}"
    )
    if entry.tries:
        what = "lab7 exec" if not sys.stdin.isatty() else "in `lab7 shell`"
        console.print(f"\ntry ({what} {entry.called or entry.name}):")
        for line in entry.tries:
            # Print each command on one line, whatever the terminal's width, so that it can be copied.
            console.print(f"    {escape(line)}", soft_wrap=True)
