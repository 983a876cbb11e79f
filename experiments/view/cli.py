"""Commands `lab7 events` and `lab7 view`: events of a running network as JSON lines, and a web page of it."""

from __future__ import annotations

import json
import signal
import sys

import click

from lab7.experiments.view.feed import Feed
from lab7.experiments.view.web import serve

PORT_MAX = 65535


@click.command("events")
@click.argument("name")
@click.option("--first", is_flag=True, help="packets only where a host sends them, not where a switch forwards them")
@click.option("--no-packets", is_flag=True, help="no packets: only loads of links, changes of links, and services")
def events_command(name: str, first: bool, no_packets: bool) -> None:
    """Print what happens in the network NAME, which is up, as JSON lines, until it is down or Ctrl-C.

    \b
    packet   a packet that enters a link: from, to, bytes, source, target,
             protocol, summary
    sample   once a second, links that carry packets: bits_per_s,
             packets_per_s, queue (frames)
    link     a link has changed: up, shapes
    service  a service was started, was killed, or has ended
    dropped  packets that were not read in time
    down     the network is down; the last line
    """
    # Ctrl-C is the usual end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with Feed(name) as feed:
        for event in feed.events():
            if event["event"] != "packet" or not (no_packets or (first and not event["first"])):
                sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")
                sys.stdout.flush()


@click.command("view")
@click.argument("name")
@click.option("--port", type=click.IntRange(0, PORT_MAX), default=0, help="port on loopback (default: a free one)")
def view_command(name: str, port: int) -> None:
    """Serve a page on loopback that shows the network NAME, which is up, and lets you change it.

    The page has the topology, packets as they pass, rate and queue of links, a terminal in each host, and what to try;
    cables can be pulled, delays and losses changed, services killed and restarted. Its address has a random token.
    """
    try:
        serve(name, port, lambda url: click.echo(f"view of {name}: {url}"))
    except KeyboardInterrupt:
        click.echo()
