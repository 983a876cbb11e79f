"""What do name servers answer, and whose are they?  (claims D1 to D6, D14, D15)

A client asks its local server for records of every kind that the course names: address, reverse, alias, mail servers,
name servers, a name with several addresses, an answer too large for a datagram; for a domain that is served by its own
organisation and for two that have hired a provider. No time is compared.
"""

from __future__ import annotations

from collections.abc import Mapping

from experiments.dns.claims import records, resolution, transport
from experiments.dns.lab import (
    ADDRESSES,
    Asker,
    capture_dns,
    dns_paths,
    dns_testbed,
    given_zones,
    server_names,
    traffic_at,
    within,
)
from experiments.dns.wire.traffic import DnsTraffic
from experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from experiments.harness.fidelity.certificate import MachineWatch, capture_checks, certificate, probe_path
from experiments.harness.judge.frames import read_capture
from experiments.harness.judge.verdict import Verdict
from experiments.harness.measurement import Window
from experiments.harness.parameters import factor, whole
from topologies.dns import BIG, POOL, WEB, make_names

VANTAGES = ("client", "local")
CAPTURE_NAME = "capture.pcapng"
DOMAIN, ALIAS, CANONICAL = "example.com", "www.example.com", "server1.example.com"
MAIL = ((10, "server2.example.com"), (20, "server3.example.com"))
OWN = (DOMAIN, "ns.example.com")
HIRED = (("shop.org", "ns.provider.org"), ("bookshop.uk", "ns.provider.org"))
# What is asked for, by what it is called here.
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
    """Ask, judge."""
    path, scale, watch = context.folder / CAPTURE_NAME, context.parameters["scale"], MachineWatch()
    reverse = ".".join(reversed(WEB["web1"].split("."))) + ".in-addr.arpa"
    questions = {**QUESTIONS, "reverse": (reverse, "PTR")}
    # No cache: every question goes to the servers, so that what each of them says is in the capture.
    with dns_testbed(context, cache="no", scale=scale, clients=1) as bed:
        context.step("measuring the paths", 0.05)
        checks = [check for each in dns_paths(scale) for check in probe_path(bed, each)]
        asker = Asker(bed.host("client"))
        with watch, capture_dns(bed, path, VANTAGES) as capture:
            windows: dict[str, Window] = {}
            for place, (what, (name, rtype)) in enumerate(questions.items()):
                context.step(f"{name} {rtype}", 0.1 + 0.3 * place / len(questions))
                windows[what] = asker.try_to_ask(name, rtype)
            context.step(f"{context.parameters['queries']} queries for one name", 0.5)
            pool = [asker.try_to_ask(POOL.rstrip(".")) for _ in range(context.parameters["queries"])]
            windows["pool"] = Window(pool[0].start_ns, pool[-1].end_ns)
    context.step("judging the packets", 0.9)
    everybody = traffic_at(read_capture(path), VANTAGES)
    seen = {what: within(everybody, window) for what, window in windows.items()}
    return Outcome(
        claims=_verdicts(seen, everybody),
        comparisons=(),
        fidelity=certificate([*checks, *watch.checks(times=False), *capture_checks(capture.statistics)]),
        implementations=server_names(context),
        capture=CAPTURE_NAME,
    )


def _verdicts(seen: Mapping[str, Mapping[str, DnsTraffic]], everybody: Mapping[str, DnsTraffic]) -> tuple[Verdict, ...]:
    at_client = {what: each["client"] for what, each in seen.items()}
    zones = given_zones(make_names())
    return (
        transport.decide_transport(at_client["address"], at_client["large"], everybody["local"], zones),
        records.decide_address_lookup(at_client["address"], CANONICAL, [WEB["web1"]]),
        records.decide_reverse_lookup(at_client["reverse"], WEB["web1"], CANONICAL),
        records.decide_alias(at_client["alias"], ALIAS, CANONICAL, [WEB["web1"]]),
        records.decide_mail_exchange(at_client["mail"], DOMAIN, MAIL),
        records.decide_address_rotation(at_client["pool"], POOL.rstrip("."), list(WEB.values())),
        records.decide_record_fields(everybody["local"], ADDRESSES, zones, cold=True),
        resolution.decide_zone_hosting(everybody["local"], OWN, HIRED, zones),
    )


EXPERIMENT = Experiment(
    name="dns-records",
    question="What do name servers answer, and whose are they?",
    claims=("D1", "D2", "D3", "D4", "D5", "D6", "D14", "D15"),
    parameters={
        "scale": Parameter("0.2", factor, "a factor on all delays of the topology"),
        "queries": Parameter("30", whole(6, 1000), "how often the name with several addresses is asked for"),
    },
    run=run,
    repeat=1,
    roles=("authoritative", "local"),
)
