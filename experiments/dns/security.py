"""Experiment on DNSSEC: the chain of trust, a forged answer, and the cost of validation (claims V1 to V3).

A client queries its local name server for server1.example.com in four networks: without DNSSEC; with signed zones and a
validating local server; and twice with an attacker's server for example.com, with and without validation. The time of a
lookup with an empty cache is compared with the sum of the RTTs of its queries: validation adds one DNSKEY query per
zone.

Claims of the course that are decided: the chain of trust from the root (V1), rejection of a forged answer (V2), the
cost of validation (V3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab7.experiments.dns.claims import security
from lab7.experiments.dns.claims.security import Step
from lab7.experiments.dns.lab import (
    ADDRESSES,
    DnsClient,
    dns_paths,
    dns_testbed,
    leg_rtt_s,
    server_names,
    traffic_at,
    within,
)
from lab7.experiments.dns.lookup_times import decompose_lookup
from lab7.experiments.dns.wire.traffic import DnsTraffic
from lab7.experiments.harness import clock
from lab7.experiments.harness.claims import Claim
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.judge.verdict import Verdict, timed, undecided
from lab7.experiments.harness.measurement import Evidence, Window, measured
from lab7.experiments.harness.parameters import factor
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import TOLERANCE_OF_DIALOGUE, Theory
from lab7.topologies.dns import FORGED, ROOT_ANCHOR

NAME = "server1.example.com"
VANTAGES = ("client", "local")
PATH = ("root", "com", "example")
CHAIN = (Step(".", "root", None), Step("com.", "com", "root"), Step("example.com.", "example", "com"))
SOURCE = "RFC 4035, sections 4.2 and 5"
PLAIN, VALIDATED, FORGED_VALIDATED, FORGED_BELIEVED = "plain", "validated", "forged", "forged-believed"
# Name of an emulated network -> parameters of the topology dns.
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    PLAIN: {},
    VALIDATED: {"dnssec": "yes"},
    FORGED_VALIDATED: {"dnssec": "yes", "forged": "yes"},
    FORGED_BELIEVED: {"dnssec": "yes", "forged": "yes", "validate": "no"},
}


@dataclass(frozen=True)
class Lookups:
    """Lookups with an empty cache in one network: the DNS traffic by host for each lookup, and their times."""

    traffic: tuple[Mapping[str, DnsTraffic], ...]
    timings: tuple[Timing, ...]


def run(context: Run) -> Outcome:
    """Look the name up in each network, decide the DNSSEC claims (V1 to V3), and compare lookup times with theory."""
    evidence = Evidence()
    found = {network: _look_up(context, network, evidence) for network in NETWORKS}
    scale = context.parameters["scale"]
    comparisons = {
        network: Comparison.of(
            network, found[network].timings, _theory(network, scale), clock.tolerance(TOLERANCE_OF_DIALOGUE)
        )
        for network in (PLAIN, VALIDATED)
        if found[network].timings
    }
    return Outcome(
        claims=_verdicts(found, comparisons),
        comparisons=tuple(comparisons.values()),
        fidelity=evidence.fidelity(),
        implementations=server_names(context),
        timings={network: list(found[network].timings) for network in comparisons},
        capture=f"capture-{VALIDATED}.pcapng",
    )


def _look_up(context: Run, network: str, evidence: Evidence) -> Lookups:
    """Look up the test name several times, each time with an empty cache; return the captured DNS traffic and times."""
    context.step(f"network: {network}", 0.05 + 0.22 * list(NETWORKS).index(network))
    scale = context.parameters["scale"]
    compared = network in (PLAIN, VALIDATED)
    bed = dns_testbed(context, scale=scale, clients=1, **NETWORKS[network])
    with measured(context, bed, [] if evidence.checks else dns_paths(scale), evidence, progress=None) as lab:
        client = DnsClient(lab.bed.host("client"))

        def ask() -> Window:
            lab.bed.restart("local")
            return client.try_query(NAME, dnssec=True)

        windows: list[Window] = []
        with lab.recording(VANTAGES, f"capture-{network}.pcapng", label=network):
            for _ in range(context.repeat if compared else 1):
                windows += lab.watch.samples(ask) if compared else [ask()]
    all_traffic = traffic_at(lab.read_capture(), VANTAGES)
    traffic = tuple(within(all_traffic, window) for window in windows)
    timings = [
        lab.watch.with_disturbance(timing, window.start_ns, window.end_ns)
        for one, window in zip(traffic, windows, strict=True)
        if compared and (timing := _timing(one, network)) is not None
    ]
    return Lookups(traffic, tuple(timings) if len(timings) == len(windows) else ())


def _legs(network: str) -> dict[str, str]:
    """Return the expected queries of the local name server, in order: term of the lookup time -> role queried.

    Each query adds one round trip to the lookup time.
    """
    legs = {f"local-{role}": role for role in PATH}
    return legs if network == PLAIN else legs | {f"local-{role} DNSKEY": role for role in PATH}


def _timing(seen: Mapping[str, DnsTraffic], network: str) -> Timing | None:
    """Return the time of a lookup with one term per query; None if the local name server sent other queries."""
    client = [one for one in seen["client"].exchanges if one.response is not None]
    inner = [one for one in seen["local"].exchanges if one.query.target == ADDRESSES["local"]]
    upstream = [one for one in seen["local"].exchanges if one.query.source == ADDRESSES["local"]]
    legs = _legs(network)
    if (
        len(client) != 1
        or len(inner) != 1
        or [one.query.target for one in upstream] != [ADDRESSES[role] for role in legs.values()]
    ):
        return None
    if inner[0].response is None or any(one.response is None for one in upstream):
        return None
    found = decompose_lookup(client[0], inner[0], dict(zip(legs, upstream, strict=True)))
    return Timing(found.total_s, found.terms)


def _theory(network: str, scale: float) -> Theory:
    terms = {"client-local": leg_rtt_s("client", "local", scale)}
    terms |= {term: leg_rtt_s("local", role, scale) for term, role in _legs(network).items()}
    formula = "RTTs of the queries" if network == PLAIN else "RTTs of the queries, and of one for DNSKEY a zone"
    return Theory(sum(terms.values()), terms, formula, SOURCE)


def _verdicts(found: Mapping[str, Lookups], comparisons: Mapping[str, Comparison]) -> tuple[Verdict, ...]:
    validated, plain = found[VALIDATED].traffic[0], found[PLAIN].traffic[0]
    anchor = ROOT_ANCHOR.split(" DS ")[1]
    cost = security.decide_cost(
        plain["local"], validated["local"], NAME, [step.zone for step in CHAIN], ADDRESSES["local"]
    )
    return (
        security.decide_chain_of_trust(validated["client"], validated["local"], NAME, CHAIN, ADDRESSES, anchor),
        security.decide_forgery_refused(
            found[FORGED_VALIDATED].traffic[0], found[FORGED_BELIEVED].traffic[0], NAME, FORGED
        ),
        _timed(cost, comparisons.get(VALIDATED)),
    )


def _timed(packets: Verdict, one: Comparison | None) -> Verdict:
    if one is None:
        return undecided(packets.id, "No time for its queries.") if packets.verdict == "shown" else packets
    return timed(packets, one.measured_s, one.theory_s, one.tolerance)


OWN_CLAIMS = (
    Claim(
        "V1",
        "DNS",
        "A validating resolver walks a chain of trust: the parent zone has the digest of the key of its child zone.",
        "Queries for DNSKEY and the DS records in the capture; digests computed from them; AD",
    ),
    Claim(
        "V2",
        "DNS",
        "A forged answer is refused by a resolver that validates: it returns SERVFAIL, and no AD.",
        "The forged answer at the local server, and its response; the same without validation",
    ),
    Claim(
        "V3",
        "DNS",
        "Validation of a first lookup costs a query for keys a zone, its RTT, and the octets of signatures.",
        "Queries and octets with and without DNSSEC; measured time against theory",
    ),
)
EXPERIMENT = Experiment(
    name="dns-security",
    question="How does a resolver know that an answer is genuine, and what does it cost?",
    claims=("V1", "V2", "V3"),
    own_claims=OWN_CLAIMS,
    parameters={"scale": Parameter("1", factor, "a factor on all delays of the topology")},
    run=run,
    repeat=3,
)
