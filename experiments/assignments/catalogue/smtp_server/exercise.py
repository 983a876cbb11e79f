"""SMTP server exercise: test sessions with a student's server that relays mail to its next hop (RFC 5321, RFC 6152).

    client 10.59.0.1 ── 5 ms ── s1 ─┬─ server 10.59.0.25:25
                                    └─ next 10.59.0.26:25

Addresses, texts and Message-IDs are drawn from the run's seed. The next hop accepts all mail, with one exception: in
the test case in which the server is killed, it refuses the message (451) for some seconds. Each claim about the server,
such as "RSET discards the transaction", is decided from the captures at the client and at the next hop. Left out:
routing by MX records, bounces, AUTH, STARTTLS, PIPELINING, and message size limits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from mininet.topo import Topo

from lab7.experiments.assignments.catalogue.smtp_server.plan import Plan, plan_of
from lab7.experiments.assignments.programs.exercise import EXERCISES, More, experiment_of, no_more, outcome_of
from lab7.experiments.assignments.programs.smtp_cases import decide_cases
from lab7.experiments.assignments.programs.trial import RAW_CLIENT, restart_subject, send_all, subject_testbed
from lab7.experiments.harness.driver import Driver
from lab7.experiments.harness.experiment import Outcome, Run
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.measurement import first_interface, measured
from lab7.topologies.emulation.node import Host

ADDRESS, NEXT_ADDRESS = "10.59.0.25", "10.59.0.26"
AT_CLIENT, AT_NEXT = map(first_interface, ("client", "next"))
# Time in seconds for the server to relay its queue: at the end of the run, and after the session with a crash.
HAND_ON_S, RECOVERY_S = 4.0, 60.0


class RelayTopo(Topo):  # type: ignore[misc]
    """Topology of a client, an SMTP server under test, and the next hop to which the server relays mail."""

    def build(self) -> None:
        """Add the hosts and links."""
        switch = self.addSwitch("s1")
        name = "relay.example.net"
        own = f"lab7.services.mail.mta --domain {name} --accounts accounts --maildirs maildirs --queue queue"
        relays = f"{own} --relay-from 10.59.0.0/16 --smarthost {NEXT_ADDRESS} --retry 5 --listen 0.0.0.0 --port 25"
        self.addHost("client", ip="10.59.0.1/16", names=["client.example.org"])
        self.addHost("server", ip=f"{ADDRESS}/16", names=[name], files={"accounts": ""}, serves=relays)
        takes = "lab7.experiments.assignments.programs.peers.next_hop --port 25"
        self.addHost("next", ip=f"{NEXT_ADDRESS}/16", names=["next.example.net"], serves=takes)
        self.addLink("client", switch, delay="5ms")
        self.addLink("server", switch)
        self.addLink("next", switch)


def decide(captured: CaptureFile, plan: Plan) -> tuple[Verdict, ...]:
    """Return a verdict (shown, failed or undecided) on each claim about the SMTP server under test, from a capture."""
    return decide_cases(captured, AT_CLIENT, AT_NEXT, ADDRESS, plan.cases)


def _values(host: Host) -> Mapping[str, str]:
    spool = host.workdir / "spool"
    spool.mkdir(exist_ok=True)
    return {"next_hop": f"{NEXT_ADDRESS}:25", "spool": str(spool)}


def run(context: Run, more: More = no_more) -> Outcome:
    """Run the SMTP session of each test case in turn, and decide the claims from captures at client and next hop."""
    plan = plan_of(context.seed, context.parameters["exercise"], more)
    network = subject_testbed(context, RelayTopo(), "mta", {"mta": "server"}, _values)
    with measured(context, network, progress=None) as lab:
        client = Driver(lab.bed.host("client"), [RAW_CLIENT])
        with lab.recording(["client", "next"]):
            for number, case in enumerate(plan.cases):
                send_all(context, client, [(case.claim, case.request(ADDRESS))], number / len(plan.cases))
                if case.restarts:
                    restart_subject(lab.bed, "server")
                    time.sleep(RECOVERY_S)
            time.sleep(HAND_ON_S)
    return outcome_of(context, lab, decide(lab.read_capture(), plan), STATEMENTS, "mta", "lab7.services.mail.mta")


def partial(
    captured: CaptureFile, _folder: Path, seed: int, parameters: dict[str, str], more: More = no_more
) -> tuple[Verdict, ...]:
    """Return the verdicts that the capture of an interrupted run supports, for the plan drawn from `seed`."""
    return decide(captured, plan_of(seed, parameters.get("exercise", EXERCISES[0]), more))


STATEMENTS = {
    "greeting": "The server greets by 220.",
    "ehlo": "EHLO and HELO are answered by 250.",
    "envelope": "NOOP, MAIL, RCPT and RSET succeed.",
    "order": "Commands out of order are refused.",
    "reset": "RSET discards the transaction.",
    "unknown": "Unknown commands are refused.",
    "data": "A message is accepted and handed on as it was.",
    "recipients": "A message is handed on to all its recipients.",
    "dots": "Lines that begin with a dot are handed on as they were.",
    "long-lines": "Lines of 1000 octets are handed on as they were.",
    "received": "The server adds a Received field.",
    "8bit": "8-bit text is accepted with BODY=8BITMIME, and handed on as it was.",
    "quit": "QUIT is answered by 221, and the server closes.",
    "segments": "Commands and mail data may come in several segments.",
    "letters": "Verbs may be in small letters.",
    "null-path": "The null reverse-path is accepted.",
    "transactions": "Messages on one connection have their own recipients.",
    "lf-dot": "LF, a dot and LF do not end mail data.",
    "durable": "A message that was accepted survives a crash of the server.",
}
EXPERIMENT = experiment_of(
    "smtp-server-exercise",
    "Does this SMTP server do what RFC 5321 requires of a relay?",
    "SMTP",
    STATEMENTS,
    "mta",
    run,
)
