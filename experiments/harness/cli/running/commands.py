"""Commands `lab7 ps`, `attach`, `down`, `link` and `service`, which list and control running networks."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import click

from lab7.experiments.harness.cli import common
from lab7.experiments.harness.cli.running.session import run_in
from lab7.topologies.emulation.control import registry
from lab7.topologies.emulation.control.channel import ClosedError
from lab7.topologies.emulation.control.client import NotUpError, ask, connected, receive_reply, send_request
from lab7.topologies.emulation.control.protocol import parse_settings
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.shape import Shape

# Seconds that `ps` waits for the answer of each network; one that is being started does not answer yet.
PS_TIMEOUT_S = 2.0
DOWN_TIMEOUT_S = 60.0


@click.command("ps")
@click.argument("name", required=False)
@common.json_option
def ps_command(name: str | None, as_json: bool) -> None:
    """List the networks of this user that are up: name, topology, hosts, links, and since when.

    With NAME: the hosts of that network, with addresses and services, and its links.
    """
    if name is not None:
        _print_network(ask(name, "info"), as_json)
        return
    found: list[dict[str, Any]] = []
    for name in registry.names():
        try:
            found.append(ask(name, "info", PS_TIMEOUT_S))
        except NotUpError:
            continue
        except EmulationError:
            found.append({"name": name})
    if as_json:
        common.print_json([_row_fields(one) for one in found])
        return
    if not found:
        click.echo("no network is up: `lab7 up TOPOLOGY` starts one")
        return
    rows = [[str(value) for value in _row_fields(one).values()] for one in found]
    common.out().print(common.table(["name", "topology", "hosts", "links", "since", "process"], rows))


def _print_network(described: dict[str, Any], as_json: bool) -> None:
    """Print the hosts and links of one network; with --json, its description by the process that runs it."""
    if as_json:
        common.print_json(described)
        return
    hosts = [
        [
            host["name"],
            ", ".join(one["ip"] for one in host["interfaces"] if one["ip"]),
            "; ".join(f"{one['command']}{'' if one['runs'] else ' (has ended)'}" for one in host["services"]),
        ]
        for host in described["hosts"]
    ]
    links = []
    for link in described["links"]:
        ends, texts = link["nodes"], [describe_shape(fields) for fields in link["shapes"]]
        shape = texts[0] if texts[0] == texts[1] else f"from {ends[0]}: {texts[0]}; from {ends[1]}: {texts[1]}"
        links.append(["-".join(ends), "up" if link["up"] else "down", shape])
    common.out().print(common.table(["host", "address", "services"], hosts))
    common.out().print(common.table(["link", "state", "delay, loss and rate"], links))


def _row_fields(one: dict[str, Any]) -> dict[str, Any]:
    if "hosts" not in one:
        return {"name": one["name"], "topology": "(starting)", "hosts": "", "links": "", "since": "", "process": ""}
    return {
        "name": one["name"],
        "topology": one["file"] or one["topology"],
        "hosts": len(one["hosts"]),
        "links": len(one["links"]),
        "since": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one["since"])),
        "process": one["pid"],
    }


def only_network() -> str:
    """Return the name of the running network. Raises click.UsageError if there is none or more than one."""
    found = registry.names()
    if not found:
        raise click.UsageError("no network is up: `lab7 up TOPOLOGY` starts one")
    if len(found) > 1:
        raise click.UsageError(f"several networks are up: name one of {', '.join(found)}")
    return found[0]


@click.command("attach")
@click.argument("name", required=False)
def attach_command(name: str | None) -> None:
    """Open Mininet's command line on the network NAME, which is up (default: the only one).

    Each attached command line has its own shell in each host. `exit` or Ctrl-D leaves the network up.
    """
    raise click.exceptions.Exit(run_in(name or only_network(), "attach"))


@click.command("down")
@click.argument("names", nargs=-1, metavar="NAME ...")
@click.option("--all", "every", is_flag=True, help="all networks of this user")
def down_command(names: tuple[str, ...], every: bool) -> None:
    """Take running networks down, as Ctrl-C in their terminals does, and wait until they are down."""
    if every == bool(names):
        raise click.UsageError("name the networks to take down (`lab7 ps` lists them), or give --all")
    for name in registry.names() if every else names:
        with connected(name) as channel:
            send_request(channel, "down")
            receive_reply(channel)
            with contextlib.suppress(ClosedError, TimeoutError):
                channel.receive(DOWN_TIMEOUT_S)
        deadline_s = time.monotonic() + DOWN_TIMEOUT_S
        while name in registry.names():
            if time.monotonic() > deadline_s:
                raise EmulationError(f"the network {name} is still up after {DOWN_TIMEOUT_S:g} s")
            time.sleep(0.05)
        click.echo(f"{name} is down")


@click.group("link")
def link_command() -> None:
    """Change a link of a network that is up, or pull its cable.

    \b
    lab7 link set internet origin-s0 delay=50ms loss=1%
    lab7 link down internet origin-s0
    lab7 link up internet origin-s0

    A link is named by its nodes, as `lab7 ps NAME` lists it, or by one of its interfaces.
    """


@link_command.command("set")
@click.option("--from", "from_node", default="", metavar="NODE", help="only frames that leave NODE (default: both)")
@click.argument("name")
@click.argument("link", metavar="A-B")
@click.argument("settings", nargs=-1, required=True, metavar="SETTING ...")
def link_set_command(name: str, link: str, settings: tuple[str, ...], from_node: str) -> None:
    """Set delay, jitter, loss, bw (Mbit/s, or unlimited), reorder or queue (frames) of a link, and keep the others.

    trace=FILE takes the rate from a recording in mahimahi's format, in place of bw.
    """
    given = parse_settings(settings)
    _print_link(ask(name, "link", link=link, set=given, only_from=from_node))


@link_command.command("down")
@click.argument("name")
@click.argument("link", metavar="A-B")
def link_down_command(name: str, link: str) -> None:
    """Pull the cable of a link: no frame passes, and a host at its end loses the carrier."""
    _print_link(ask(name, "cable", link=link, up=False))


@link_command.command("up")
@click.argument("name")
@click.argument("link", metavar="A-B")
def link_up_command(name: str, link: str) -> None:
    """Plug the cable of a link in again."""
    _print_link(ask(name, "cable", link=link, up=True))


def _print_link(found: dict[str, Any]) -> None:
    texts = [describe_shape(fields) for fields in found["shapes"]]
    nodes = found["nodes"]
    state = "up" if found["up"] else "down"
    if texts[0] == texts[1]:
        click.echo(f"{nodes[0]}-{nodes[1]}: {state}, {texts[0]}")
    else:
        click.echo(f"{nodes[0]}-{nodes[1]}: {state}; from {nodes[0]}: {texts[0]}; from {nodes[1]}: {texts[1]}")


def describe_shape(fields: dict[str, Any] | None) -> str:
    """Describe a link shape, given as a JSON object, in words: `10 Mbit/s, delay 50 ms, loss 1 %`."""
    shape = Shape(**fields) if fields is not None else Shape()
    words = [f"{shape.rate_bps / 1e6:g} Mbit/s"] if shape.rate_bps is not None else []
    words += [f"rate of {shape.trace}"] if shape.trace is not None else []
    words += [f"delay {shape.delay_s * 1e3:g} ms"] if shape.delay_s else []
    words += [f"jitter {shape.jitter_s * 1e3:g} ms"] if shape.jitter_s else []
    words += [f"loss {shape.loss * 100:g} %"] if shape.loss else []
    words += [f"reorder {shape.reorder * 100:g} %"] if shape.reorder else []
    return ", ".join(words) or "no delay, no loss, no limit of rate"


@click.group("service")
def service_command() -> None:
    """Kill or restart the services of a host in a network that is up.

    \b
    lab7 service kill internet origin
    lab7 service restart internet origin
    """


@service_command.command("kill")
@click.argument("name")
@click.argument("host")
def service_kill_command(name: str, host: str) -> None:
    """Kill the services of HOST by SIGKILL, as a crash would end them."""
    _print_services(host, ask(name, "service", host=host, action="kill"))


@service_command.command("restart")
@click.argument("name")
@click.argument("host")
def service_restart_command(name: str, host: str) -> None:
    """Stop the services of HOST, if they run, and start them again with empty state."""
    _print_services(host, ask(name, "service", host=host, action="restart"))


def _print_services(host: str, found: dict[str, Any]) -> None:
    for one in found["services"]:
        click.echo(f"{host}: {one['command']}: {'runs' if one['runs'] else 'has ended'}")
