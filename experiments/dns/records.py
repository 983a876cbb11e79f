"""Experiment on DNS resource records: record types, answers over UDP and TCP, zone hosting (claims D1 to D6, D14, D15).

A client queries its local name server for each record type of the course (A, PTR, CNAME, MX, NS), for a name with
several addresses, and for an answer that is too large for a UDP datagram. One of the domains has a name server of its
own organisation; two are hosted by a provider. The contents of answers are checked; lookup times are not.
"""

from __future__ import annotations

from collections.abc import Mapping

from lab7.experiments.dns.claims import records, resolution, transport
from lab7.experiments.dns.lab import (
    ADDRESSES,
    DnsClient,
    dns_paths,
    dns_testbed,
    given_zones,
    server_names,
    traffic_at,
    within,
)
from lab7.experiments.dns.wire.traffic import DnsTraffic
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.measurement import Window, measured
from lab7.experiments.harness.parameters import factor, whole
from lab7.topologies.dns import BIG, POOL, WEB, make_names

VANTAGES = ("client", "local")
DOMAIN, ALIAS, CANONICAL = "example.com", "www.example.com", "server1.example.com"
MAIL = ((10, "server2.example.com"), (20, "server3.example.com"))
OWN = (DOMAIN, "ns.example.com")
HIRED = (("shop.org", "ns.provider.org"), ("bookshop.uk", "ns.provider.org"))
# Name of the query -> (QNAME, QTYPE); the captured traffic of each query is stored under this name.
QUESTIONS: Mapping[str, tuple[str, str]] = {
    "address": (CANONICAL, "A"),
    "alias": (ALIAS, "A"),
    "mail": (DOMAIN, "MX"),
    "name servers": (DOMAIN, "NS"),
    "large": (BIG.rstrip("."), "TXT"),
    "shop": ("www.shop.org", "A"),
    "shop's servers": ("shop.org", "NS"),
    "bookshop": ("www.bookshop.uk", "A"),
    "bookshop's servers": ("bookshop.uk", "NS"),
}


def run(context: Run) -> Outcome:
    """Send one query for each kind of record, and decide the claims on records and transport from the capture.

    These are D1 (UDP and TCP), D2 to D6 (record types, address rotation), D14 (fields of a record) and D15 (zone
    hosting).
    """
    scale = context.parameters["scale"]
    reverse = ".".join(reversed(WEB["web1"].split("."))) + ".in-addr.arpa"
    questions = {**QUESTIONS, "reverse": (reverse, "PTR")}
    # Disable the cache, so that every query reaches the authoritative servers and the capture has their responses.
    with measured(context, dns_testbed(context, cache="no", scale=scale, clients=1), dns_paths(scale)) as lab:
        dns_client = DnsClient(lab.bed.host("client"))
        with lab.recording(VANTAGES):
            windows: dict[str, Window] = {}
            for place, (what, (name, rtype)) in enumerate(questions.items()):
                context.step(f"{name} {rtype}", 0.1 + 0.3 * place / len(questions))
                windows[what] = dns_client.try_query(name, rtype)
            context.step(f"{context.parameters['queries']} queries for one name", 0.5)
            pool = [dns_client.try_query(POOL.rstrip(".")) for _ in range(context.parameters["queries"])]
            windows["pool"] = Window(pool[0].start_ns, pool[-1].end_ns)
    context.step("judging the packets", 0.9)
    all_traffic = traffic_at(read_capture(lab.path), VANTAGES)
    seen = {what: within(all_traffic, window) for what, window in windows.items()}
    return Outcome(
        claims=_verdicts(seen, all_traffic),
        comparisons=(),
        fidelity=lab.fidelity(times=False),
        implementations=server_names(context),
        capture=lab.path.name,
    )


def _verdicts(
    seen: Mapping[str, Mapping[str, DnsTraffic]], all_traffic: Mapping[str, DnsTraffic]
) -> tuple[Verdict, ...]:
    at_client = {what: each["client"] for what, each in seen.items()}
    zones = given_zones(make_names())
    return (
        transport.decide_transport(at_client["address"], at_client["large"], all_traffic["local"], zones),
        records.decide_address_lookup(at_client["address"], CANONICAL, [WEB["web1"]]),
        records.decide_reverse_lookup(at_client["reverse"], WEB["web1"], CANONICAL),
        records.decide_alias(at_client["alias"], ALIAS, CANONICAL, [WEB["web1"]]),
        records.decide_mail_exchange(at_client["mail"], DOMAIN, MAIL),
        records.decide_address_rotation(at_client["pool"], POOL.rstrip("."), list(WEB.values())),
        records.decide_record_fields(all_traffic["local"], ADDRESSES, zones, cold=True),
        resolution.decide_zone_hosting(all_traffic["local"], OWN, HIRED, zones),
    )


EXPERIMENT = Experiment(
    name="dns-records",
    question="What do name servers answer, and which organisation runs them?",
    claims=("D1", "D2", "D3", "D4", "D5", "D6", "D14", "D15"),
    parameters={
        "scale": Parameter("0.2", factor, "a factor on all delays of the topology"),
        "queries": Parameter("30", whole(6, 1000), "number of queries for the name with several addresses"),
    },
    run=run,
    repeat=1,
    roles=("authoritative", "local"),
)
