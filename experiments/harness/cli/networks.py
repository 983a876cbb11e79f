"""Commands `lab7 up`, `lab7 shell` and `lab7 exec`: interactive use of a topology."""

from __future__ import annotations

import contextlib
import inspect
import signal
import sys
import threading
from typing import Any

import click
from mininet.topo import Topo
from mininet.util import makeNumeric
from rich.markup import escape

from lab7.experiments.harness.cli import common, scripts
from lab7.experiments.harness.cli.mininet_shell import Shell, addresses_of
from lab7.experiments.harness.discovery import TopologyEntry, UnknownNameError, find_topology
from lab7.topologies.emulation import script
from lab7.topologies.emulation.errors import TopologyError, UserFileError
from lab7.topologies.emulation.process.interpreter import module_command
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.emulation.user_module import explain

TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


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
def up_command(topology: str, given: dict[str, str], timed: str, **options: Any) -> None:  # noqa: ARG001
    """Start a topology with its services, print its hosts and example commands, and keep it up until Ctrl-C.

    TOPOLOGY is a name (`lab7 list`) or a Python file that exports `topos`, or has classes derived from Topo (FILE:NAME
    for one of several); the same holds for shell and exec. A file without, which calls Mininet() itself, is run as by
    `lab7 script`.
    """
    if _is_script(topology, given, options):
        return
    with _testbed(topology, given, **options) as (entry, bed):
        _describe(entry, bed)
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        # Print the line "Up." after installing signal handlers, since a script may send SIGTERM when the line appears.
        click.echo("\nUp. Ctrl-C takes it down.")
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
def shell_command(topology: str, given: dict[str, str], timed: str, **options: Any) -> None:  # noqa: ARG001
    """Start a topology with its services and open Mininet's command line on it (HOST COMMAND, help, exit).

    If a server exits, a message is printed and the network stays up. A file that calls Mininet() itself is run as by
    `lab7 script`, and opens the command line where it calls CLI().
    """
    if _is_script(topology, given, options):
        return
    with _testbed(topology, given, server_died=_tell, **options) as (entry, bed):
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
@click.argument("topology")
@click.argument("host")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_command(
    topology: str, host: str, command: tuple[str, ...], given: dict[str, str], timed: str, **options: Any
) -> None:
    """Start a topology, run COMMAND in HOST, and stop the topology; exits with the code of COMMAND.

    \b
    lab7 exec web client -- curl -s http://www.example.com/
    """
    virtual = common.virtual_time(timed, options["links"], options["sandboxed"])
    network = _testbed(topology, given, host=host, **options)
    if virtual is not None:
        settings = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
        settings += ["--stp"] if options["stp"] else []
        words = ["exec", *common.network_words(options), *settings, topology, host, *command]
        code = virtual.command(module_command("lab7.experiments.harness.cli", *words), f"the command in {host}")
        raise click.exceptions.Exit(code)
    with network as (_entry, bed):
        # Remove the `--` before the command, which click leaves in `command`.
        words = list(command[1:] if command[0] == "--" else command)
        process = bed.host(host).popen(words, stdin=None, stdout=None, stderr=None)
        code = process.wait()
    raise click.exceptions.Exit(code if code >= 0 else 128 - code)


def _is_script(name: str, given: dict[str, str], options: dict[str, Any]) -> bool:
    """Run a file if the file is a Mininet script; return True after running a script."""
    if not script.builds_network(name):
        return False
    if given or options.pop("stp"):
        raise click.UsageError(
            f"{name} builds its network by Mininet() itself, so --set and --stp have no effect: leave them out"
        )
    scripts.run(name, **options)
    return True


class _testbed:  # noqa: N801 - used as a function
    """Context manager that validates arguments, enters the sandbox, and yields (topology entry, running network)."""

    def __init__(
        self,
        topology: str,
        given: dict[str, str],
        *,
        sandboxed: bool,
        host: str | None = None,
        **options: Any,
    ) -> None:
        """Build the topology, which must have the host `host`; pass `options` to Testbed. Raises click.UsageError."""
        try:
            self._entry = find_topology(topology)
        except UnknownNameError as error:
            raise click.UsageError(str(error)) from error
        # Pass IPv6 to the topology's constructor as well, which then adds AAAA records to the DNS zones.
        if options.get("ipv6") is not None and "ipv6" in _parameters(self._entry.make):
            given = {"ipv6": "yes" if options["ipv6"] else "no", **given}
        topo = make_topology(self._entry, given)
        if host is not None and host not in topo.hosts():
            raise click.UsageError(
                f"the topology {self._entry.name} has no host {host!r}: it has {', '.join(topo.hosts())}"
            )
        self._bed = Testbed(topo, sandboxed=sandboxed, **options)
        self._sandboxed = sandboxed

    def __enter__(self) -> tuple[TopologyEntry, Testbed]:
        common.into_sandbox(self._sandboxed)
        return self._entry, self._bed.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._bed.__exit__(*error)


def _tell(sentence: str) -> None:
    click.echo(f"lab7: {sentence}", err=True)


def make_topology(entry: TopologyEntry, given: dict[str, str]) -> Any:
    """Build a topology with parameters given as text. Raises click.UsageError for unknown or missing parameters."""
    known = _parameters(entry.make)
    for name in given:
        if name not in known:
            there = ", ".join(known) or "none"
            raise click.UsageError(f"the topology {entry.name} has no parameter {name!r}: it has {there}")
    for name in _required(entry.make):
        if name in known and name not in given:
            raise click.UsageError(f"the topology {entry.name} needs {name}: give it by --set {name}=VALUE")
    values = {name: _as_default(name, text, known[name].default) for name, text in given.items()}
    try:
        return _checked(entry.make(**values), entry.name)
    except Exception as error:
        # Report an error in a user's file with its line; re-raise unexpected errors of lab7's own topologies.
        if where := explain(error):
            raise UserFileError(where) from error
        if isinstance(error, TypeError | ValueError):
            raise TopologyError(f"the topology {entry.name} cannot be built with these parameters: {error}") from error
        raise


def _checked(topo: Any, name: str) -> Topo:
    if not isinstance(topo, Topo):
        kind = type(topo).__name__
        raise TopologyError(f"the topology {name} is of type {kind}: let topos name a class derived from Topo")
    for node in topo.g.nodes():
        if not isinstance(node, str):
            raise TopologyError(f"the name {node!r} in the topology {name} is not text: write {str(node)!r}")
    return topo


def _parameters(make: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters of a topology's constructor by name.

    `topos` may export a function, as in Mininet's own examples. An __init__() that accepts any keyword, as Topo's does,
    passes them on to build().
    """
    parameters = list(inspect.signature(make).parameters.values())
    if hasattr(make, "build") and any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        names = {parameter.name for parameter in parameters}
        there = inspect.signature(make.build).parameters.values()
        parameters += [parameter for parameter in there if parameter.name not in names]
    unnamed = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {
        parameter.name: parameter
        for parameter in parameters
        if parameter.name != "self" and parameter.kind not in unnamed
    }


def _required(make: Any) -> list[str]:
    """Return the names of required parameters, of build() if the class has no constructor of its own."""
    called = make.build if getattr(make, "__init__", None) is Topo.__init__ else make
    parameters = inspect.signature(called).parameters.values()
    unnamed = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.kind not in unnamed
    ]


def _as_default(name: str, text: str, default: Any) -> Any:
    """Convert a parameter's text to the default's type; without a default, to a number if possible."""
    if isinstance(default, bool):
        if text.lower() not in TRUTH:
            raise click.UsageError(f"{name}={text!r} is not a boolean: use true or false, for example {name}={default}")
        return TRUTH[text.lower()]
    if default is None or default is inspect.Parameter.empty:
        with contextlib.suppress(ValueError):
            return makeNumeric(text)
        return text
    if not isinstance(default, int | float):
        return text
    try:
        return type(default)(text) if isinstance(default, float) else _number(text)
    except ValueError:
        raise click.UsageError(f"{name}={text!r} is not a number, for example {name}={default}") from None


def _number(text: str) -> int | float:
    """Parse a number: an int if it has no fraction, else a float. Raises ValueError."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def _describe(entry: TopologyEntry, bed: Testbed) -> None:
    console = common.out()
    console.print(escape(entry.text.strip()), style="dim")
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
            console.print(f"    {escape(line)}")
