"""Reach of a large campus: does each of hundreds of web servers answer the same client?

    lab7 run docs/examples/campus_reach.py --set hosts=1000

Every user's host of the topology campus serves. One curl on the first of them requests a page from each of the others,
and then from the origin behind the access link. The packets at the client decide; the fidelity certificate has the
paths to the origin and to hosts drawn by the seed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from random import Random

from lab7.experiments.harness import (
    Claim,
    Comparison,
    Connection,
    EmulatedPath,
    Experiment,
    Lab,
    Outcome,
    Parameter,
    Run,
    Theory,
    Timing,
    Verdict,
    connections,
    failed,
    first_interface,
    measured,
    run_command,
    shown,
    timed,
    tolerance,
    whole,
)
from lab7.experiments.http.wire.http1 import converse
from lab7.topologies.campus import ACCESS_LEG, ADDRESSES, ORIGIN_LEG, ORIGIN_NAME, CampusTopo

CLIENT, ORIGIN = "u1-1", ADDRESSES[ORIGIN_NAME]
RATE_MBIT = 100
RTT_S = 2 * (int(ACCESS_LEG.removesuffix("ms")) + int(ORIGIN_LEG.removesuffix("ms"))) / 1e3
# Hosts whose path from the client is measured before the run.
PROBED = 8
# A department has at most 240 users' hosts.
HOSTS_A_DEPARTMENT = 200
CURL_TIMEOUT_S = 600.0
REACHED = Claim("CR1", "Campus", "Every web server of the campus answers 200 to the same client.", "HTTP messages")
ORIGIN_TIME = Claim("CR2", "Campus", "A page of the origin takes two RTTs: handshake, request.", "Times of the frames")


def run(context: Run) -> Outcome:
    """Request a page from each server, and decide both claims."""
    hosts = context.parameters["hosts"]
    topo = CampusTopo(hosts=hosts, departments=-(-hosts // HOSTS_A_DEPARTMENT), bw=RATE_MBIT, serving="yes")
    context.step(f"starting {hosts} hosts", 0.0)
    users = [user for some in topo.members.values() for user in some if user != CLIENT]
    servers = {user: topo.nodeInfo(user)["ip"].partition("/")[0] for user in users}
    some = Random(context.seed).sample(users, min(PROBED, len(users)))
    paths = [EmulatedPath(CLIENT, user, servers[user], 0.0) for user in some]
    paths.append(EmulatedPath(CLIENT, "origin", ORIGIN, RTT_S, RATE_MBIT * 1e6))
    with measured(context, topo, paths) as lab:
        client = lab.bed.host(CLIENT)
        with lab.recording([CLIENT]):
            client.run(_curl(servers.values()), CURL_TIMEOUT_S)
            for _ in range(context.repeat):
                lab.watch.samples(partial(run_command, client, _curl([ORIGIN])))
    context.step("judging the packets", 0.9)
    found = connections(lab.read_capture().at(first_interface(CLIENT)))
    at_origin = [one for one in found if one.server.address == ORIGIN]
    timings = [timing for one in at_origin if (timing := _timing(lab, one)) is not None]
    theory = Theory(2 * RTT_S, {"tcp_handshake": RTT_S, "request": RTT_S}, "2 RTT", "RFC 9293 section 3.5")
    comparison = Comparison.of("origin", timings, theory, tolerance(0.05))
    in_time = shown(ORIGIN_TIME.id, f"{len(timings)} pages.", [one.syn.frame for one in at_origin])
    in_time = timed(in_time, comparison.measured_s, comparison.theory_s, comparison.tolerance)
    return Outcome(
        claims=(_reached(found, servers.values()), in_time),
        comparisons=(comparison,),
        fidelity=lab.fidelity(),
        implementations={"servers": "lab7", "client": "curl"},
        timings={"origin": timings},
        capture=lab.path.name,
    )


def _curl(addresses: Iterable[str]) -> list[str]:
    """Return the command line of one curl that requests the style sheet of each server."""
    return [
        "curl",
        "-s",
        *(word for address in addresses for word in ("-o", "/dev/null", f"http://{address}/style.css")),
    ]


def _timing(lab: Lab, one: Connection) -> Timing | None:
    """Return the time from the SYN to the last octet of the page, None for a connection without a page."""
    accepted, page = one.from_server.syn, one.from_server.segments
    if accepted is None or not page:
        return None
    terms = {
        "tcp_handshake": (accepted.time_ns - one.syn.time_ns) / 1e9,
        "request": (page[-1].time_ns - accepted.time_ns) / 1e9,
    }
    return lab.watch.timing(sum(terms.values()), terms, one.syn.time_ns, page[-1].time_ns)


def _reached(found: Sequence[Connection], servers: Collection[str]) -> Verdict:
    """Every server must have answered one request by 200."""
    good = {
        one.server.address: exchange.response
        for one in found
        for exchange in converse(one).exchanges
        if exchange.response is not None and exchange.response.start_line[1] == b"200"
    }
    if missing := [address for address in servers if address not in good]:
        return failed(REACHED.id, f"{len(missing)} of {len(servers)} servers gave no 200, the first {missing[0]}.")
    frames = [number for address in servers for number in good[address].frames]
    return shown(REACHED.id, f"{len(servers)} servers answered 200.", frames)


EXPERIMENT = Experiment(
    name="campus-reach",
    question="Does each web server of a large campus answer the same client?",
    claims=(REACHED.id, ORIGIN_TIME.id),
    own_claims=(REACHED, ORIGIN_TIME),
    parameters={"hosts": Parameter("60", whole(30, 4000), "hosts of the campus, each of which serves")},
    run=run,
)
