"""Caching proxy exercise: test requests through a student's shared HTTP cache to a scripted origin (RFC 9110 to 9112).

    client 10.58.0.1 ── 5 ms ── s1 ─┬─ proxy 10.58.0.100:3128
                                    └─ origin 10.58.1.1:80, www.example.com

The client sends requests in absolute-form. Targets, contents, entity tags and freshness lifetimes are drawn from the
run's seed. Each claim, such as "A stale response is validated by its entity tag", is decided from the captures at the
client and at the origin. Left out: ranges, trailers, heuristic freshness, s-maxage, stale-while-revalidate and
stale-if-error (RFC 5861), and CONNECT.
"""

from __future__ import annotations

import json
from pathlib import Path

from mininet.topo import Topo

from lab7.experiments.assignments.catalogue.caching_proxy.plan import NAME, Plan, plan_of
from lab7.experiments.assignments.programs.exercise import EXERCISES, More, experiment_of, no_more, outcome_of
from lab7.experiments.assignments.programs.proxy_cases import decide_cases
from lab7.experiments.assignments.programs.trial import RAW_CLIENT, send_all, subject_testbed
from lab7.experiments.harness.driver import Driver
from lab7.experiments.harness.experiment import Outcome, Run
from lab7.experiments.harness.implementations.registry import PROXY_PORTS
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.measurement import first_interface, measured

PROXY_ADDRESS, ORIGIN_ADDRESS, PORT = "10.58.0.100", "10.58.1.1", PROXY_PORTS["forward"]
AT_CLIENT, AT_ORIGIN = map(first_interface, ("client", "origin"))
SCRIPT_FILE = "script.json"


class ProxyTopo(Topo):  # type: ignore[misc]
    """Topology of a client, a forward proxy, and an origin whose responses are scripted."""

    def build(self, script: str = "{}") -> None:
        """Add the hosts and links; `script` is the JSON text of the origin's responses."""
        switch = self.addSwitch("s1")
        answers = f"lab7.experiments.assignments.programs.peers.origin --script {SCRIPT_FILE} --port 80"
        caches = f"lab7.services.http.proxy --listen 0.0.0.0 --port {PORT}"
        self.addHost("client", ip="10.58.0.1/16")
        self.addHost("proxy", ip=f"{PROXY_ADDRESS}/16", serves=caches)
        self.addHost("origin", ip=f"{ORIGIN_ADDRESS}/16", names=[NAME], files={SCRIPT_FILE: script}, serves=answers)
        self.addLink("client", switch, delay="5ms")
        self.addLink("proxy", switch)
        self.addLink("origin", switch)


def decide(captured: CaptureFile, plan: Plan) -> tuple[Verdict, ...]:
    """Return a verdict (shown, failed or undecided) on each claim about the proxy under test, from a capture."""
    return decide_cases(captured, AT_CLIENT, PORT, AT_ORIGIN, plan.cases)


def run(context: Run, more: More = no_more) -> Outcome:
    """Send the requests of all test cases in turn, and decide the claims from the captures at client and origin."""
    plan = plan_of(context.seed, context.parameters["exercise"], more)
    stands = {"mode": "forward", "origin": f"http://{ORIGIN_ADDRESS}:80"}
    topo = ProxyTopo(script=json.dumps(plan.script))
    network = subject_testbed(context, topo, "proxy", {"proxy": "proxy"}, lambda _host: stands)
    with measured(context, network, progress=None) as lab:
        client = Driver(lab.bed.host("client"), [RAW_CLIENT])
        with lab.recording(["client", "origin"]):
            requests = [(one.claim, each) for one in plan.cases for each in one.requests(PROXY_ADDRESS, PORT)]
            send_all(context, client, requests)
    verdicts = decide(lab.read_capture(), plan)
    return outcome_of(context, lab, verdicts, STATEMENTS, "proxy", "lab7.services.http.proxy")


def partial(
    captured: CaptureFile, _folder: Path, seed: int, parameters: dict[str, str], more: More = no_more
) -> tuple[Verdict, ...]:
    """Return the verdicts that the capture of an interrupted run supports, for the plan drawn from `seed`."""
    return decide(captured, plan_of(seed, parameters.get("exercise", EXERCISES[0]), more))


STATEMENTS = {
    "forward": "The proxy forwards a request, and the response to it.",
    "hop-by-hop": "Fields that Connection names are not forwarded; others are.",
    "via": "Forwarded messages have Via.",
    "framing": "Content is relayed whole, in whatever form its length is given.",
    "hit": "A response that is fresh answers the next request.",
    "no-store": "A response with no-store is not stored.",
    "private": "A response with private is not stored.",
    "expiry": "A response is not used beyond max-age.",
    "validation": "A stale response is validated by its entity tag.",
    "changed": "A new response replaces the stored one.",
    "age": "A stored response has its Age.",
    "query": "Targets with different queries are different targets.",
    "vary": "A response is used only for requests that match Vary.",
    "methods": "POST is forwarded.",
    "errors": "503 is not stored.",
    "must-revalidate": "A stale response with must-revalidate is not sent.",
    "no-cache": "A response with no-cache is validated each time.",
    "invalidation": "A POST invalidates the stored response.",
    "arrival": "The Age on arrival counts.",
}
EXPERIMENT = experiment_of(
    "caching-proxy-exercise",
    "Does this proxy forward and cache as RFC 9110 and RFC 9111 require of a shared cache?",
    "HTTP",
    STATEMENTS,
    "proxy",
    run,
)
