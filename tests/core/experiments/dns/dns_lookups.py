"""Whole look-ups as they look in captures: iterative, recursive and from a cache."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tests.core.experiments.dns.dns_wire import ADDRESSES, Asked, Net, a, opt, rr

NAME = "www.example.com"
WEB = "10.9.0.1"
PATH = ("root", "com", "example")
CHAIN = ("client", "local", *PATH)
ZONES = {"com": "com", "example": "example.com", "provider": "provider.org"}


def referral(zone: str, host: str, server: str | None = None) -> dict[str, Any]:
    """The sections that say: ask `host` about `zone`."""
    name = server or f"ns.{zone}"
    return {"authority": [rr(zone, "NS", name)], "additional": [a(name, ADDRESSES[host]), opt()]}


def iterative(
    net: Net,
    name: str = NAME,
    client: str = "client",
    path: Sequence[str] = PATH,
    ttl: int = 300,
    value: str = WEB,
    qtype: str = "A",
) -> Asked:
    """The client asks the local server, which asks every server on the path."""
    outer = net.query(client, "local", name, qtype)
    records = [rr(name, qtype, value, ttl)]
    for number, host in enumerate(path):
        net.after(1)
        below = path[number + 1] if number + 1 < len(path) else None
        if below is None:
            net.ask("local", host, name, qtype, records, aa=1, additional=[opt()])
        else:
            net.ask("local", host, name, qtype, **referral(ZONES[below], below))
    net.after(1).answer(outer, records, ra=1)
    return outer


def recursive(net: Net, name: str = NAME, chain: Sequence[str] = CHAIN, **wrong: Any) -> Net:
    """Each host of the chain asks the next, and waits; `wrong` are flags of the responses in the middle."""
    queries = []
    for asker, asked in pairwise(chain):
        queries.append(net.after(5).query(asker, asked, name, rd=1))
    for number, query in enumerate(reversed(queries)):
        flags = {"aa": 1} if number == 0 else {"ra": 1, **wrong}
        net.after(5).answer(query, [a(name, WEB)], **flags)
    return net


def cached(net: Net, name: str = NAME, client: str = "client", ttl: int = 300, value: str = WEB) -> Asked:
    return net.ask(client, "local", name, answer=[a(name, value, ttl)], rtt_ms=1, ra=1)
