"""Experiment on a mail outage: queueing, retries and bounces while the receiving server is down (claim S5).

Alice submits messages while Bob's server is killed, and in another network while its cable is pulled. Her server
retries. It is killed itself (SIGKILL) with messages in its queue, and once more during delivery. When Bob's server is
back, the content of his mailbox is compared with the accepted messages, and the time to the next attempt with the retry
schedule. In a third network Bob's server stays down until Alice's server gives up: the messages return as delivery
status notifications. A fourth case, in long runs only, is the same with the five days of RFC 5321. It needs virtual
time: a clock that skips the waiting time.

Claim S5 of the course: while its peer is down, a server queues mail and retries, and loses no message even if it is
killed.

The run-queue delay of the programs (their waits for a processor) is measured during the resumed delivery. If it
disturbed a measured time, the outage is repeated in a new network. The fourth case needs no such repetition: the delays
take milliseconds, its retry interval half an hour.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from random import Random

from lab7.experiments.harness import clock
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.fidelity.certificate import MachineWatch
from lab7.experiments.harness.fidelity.disturbance import RETAKES
from lab7.experiments.harness.implementations.registry import (
    ACCESS_ROLE,
    AGENT_ROLE,
    MTA_ROLE,
    SMTP_PORT,
    Implementation,
)
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.measurement import Evidence, first_interface, make_testbed, measured
from lab7.experiments.harness.parameters import choices, seconds, whole
from lab7.experiments.harness.report.line_plots import Panel, Series, plot_lines
from lab7.experiments.harness.results.result import Timing
from lab7.experiments.harness.theory.tcp import TOLERANCE_OF_DIALOGUE, Theory
from lab7.experiments.mail.claims.outage import Episode, Outage, decide_outage, during, resumption
from lab7.experiments.mail.clients import Task, check_supported, client_name, run_client
from lab7.experiments.mail.lab import (
    ALICE,
    AT_RECEIVER,
    AT_SENDER,
    BOB,
    PASSWORDS,
    RECEIVER_ADDRESS,
    SENDER_ADDRESS,
    Legs,
)
from lab7.experiments.mail.mailboxes import Reader, send, text, wait_for_count
from lab7.experiments.mail.outage_times import attempt_number, between_servers, recovery_timing, retry_intervals
from lab7.experiments.mail.servers import MailHost, Schedule, mail_host, names_of
from lab7.experiments.mail.theory.outage import completed, recovery, spacing
from lab7.experiments.mail.times import TimedSample, compared, left_out
from lab7.experiments.mail.wire.attempts import NS, RetryPolicy
from lab7.experiments.mail.wire.imap import imap_traffic
from lab7.experiments.mail.wire.smtp import smtp_traffic
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed, plug_in, unplug
from lab7.topologies.mail import MailTopo

SERVICE, LINK, EXPIRE, DAYS = "service", "link", "expire", "days"
CASES = (SERVICE, LINK, EXPIRE, DAYS)
SHORT_CASES = (SERVICE, LINK, EXPIRE)
WORDS = {
    SERVICE: "Bob's server is killed",
    LINK: "its link is down",
    EXPIRE: "it does not return",
    DAYS: "it does not return for days",
}
# Cases of the experiment in which the receiving server stays down.
FOR_GOOD = (EXPIRE, DAYS)
# RFC 5321 section 4.5.4.1: retry intervals are at least 30 minutes, and messages expire after 4 to 5 days.
RFC_RETRY_S, RFC_KEPT_S, RFC_GIVE_UP_S = 1800, 4 * 86_400, 5 * 86_400
# Number of messages in the case DAYS: few suffice, since each message causes a DSN.
DAYS_MESSAGES = 4
# Fixed path parameters: RTT to Alice and Bob (seconds), rate between servers, one-way delay of name servers.
NEAR_S, BW_MBIT, NAMES_DELAY = 0.005, 10.0, "1ms"
CONNECT_TIMEOUT_S = 1
# Messages expire after GIVE_UP_S (seconds) in the case EXPIRE, and after LONG_S in the cases without expiry.
GIVE_UP_S, LONG_S = 2, 86_400
# The sender's server is killed after KILL_AT of the outage's duration, and again after KILL_BEHIND of deliveries.
KILL_AT, KILL_BEHIND = 0.5, 0.25
# Permitted lateness in s of a retry's SYN, which is delayed by programs and the scheduler.
SLACK_S = 0.5
# Permitted time in s, in addition to round trips, in which servers close a session.
GOODBYE_S = 0.2
# Other MTAs may deviate from the schedule by a whole interval, since an MTA scans its queue once an interval.
TOLERANCE_OF_OTHERS = 1.0
# Deliveries time out after PATIENCE_S seconds, plus A_MESSAGE_S for each message.
PATIENCE_S, A_MESSAGE_S = 10.0, 0.5
NOTE = (
    "a point is a connection attempt of the sender's server, or a message delivered to Bob's; lines: "
    "attempts by the retry schedule, each one interval after the one before"
)


@dataclass
class OutageEvidence(Evidence):
    """Evidence of a run of the experiment; `outages` maps each case of an outage to its runs.

    A case is a kind of outage, such as a killed server. Only the times of a case's last run are compared with theory.
    """

    outages: dict[str, list[Seen]] = field(default_factory=dict)

    def episodes(self, cases: Iterable[str]) -> list[Episode]:
        """Return the captured traffic and times (episodes) of all outages of these cases."""
        return [one.episode for case in cases for one in self.outages.get(case, [])]


@dataclass(frozen=True)
class Seen:
    """Observed outage: its captured traffic (episode), capture file name, and pairs of (measured, predicted) time."""

    episode: Episode
    capture: str
    times: list[tuple[Timing, Theory]]

    @property
    def disturbed(self) -> bool:
        """Return True if a program's wait for a processor delayed a measured time of this outage."""
        return any(timing.beside(theory.terms).disturbed for timing, theory in self.times)


@dataclass(frozen=True)
class MailNetwork:
    """Running network with the two mail servers, and Alice's mail client (None: Python's smtplib)."""

    bed: Testbed
    sender: MailHost
    receiver: MailHost
    client: Implementation | None


def run(context: Run) -> Outcome:
    """Run each case of an outage in a new network, decide claim S5, and compare times with theory."""
    check_supported(context.replacements.get(AGENT_ROLE), "send")
    if DAYS in context.parameters["case"] and clock.current().word != "virtual":
        raise EmulationError("the case days of mail-outage lasts five days: run it with --time virtual")
    evidence, cases = OutageEvidence(), context.parameters["case"]
    for number, case in enumerate(cases):
        context.step(WORDS[case], 0.02 + 0.9 * number / len(cases))
        evidence.outages[case] = _outages(context, case, evidence)
    context.step("judging the packets", 0.95)
    ended = evidence.episodes(case for case in cases if case not in FOR_GOOD)
    given_up = evidence.episodes(case for case in cases if case in FOR_GOOD)
    times = {case: [each for one in some for each in one.times] for case, some in evidence.outages.items()}
    found = {case: some for case, some in times.items() if some}
    timings = {WORDS[case]: [timing for timing, _ in some] for case, some in found.items()}
    return Outcome(
        claims=(decide_outage(ended, given_up),),
        comparisons=tuple(compared(WORDS[case], some, _tolerance(context)) for case, some in found.items()),
        fidelity=evidence.fidelity(),
        implementations={**names_of(context.replacements), AGENT_ROLE: client_name(context.replacements)},
        timings=timings,
        capture=evidence.outages[cases[-1]][-1].capture,
        plot=plot_lines(_panels(context, {case: some[-1].episode for case, some in evidence.outages.items()}), NOTE),
    )


def _outages(context: Run, case: str, evidence: OutageEvidence) -> list[Seen]:
    """Run one case of an outage; repeat it up to RETAKES times if machine load delayed a measured time.

    Returns all runs.
    """
    seen: list[Seen] = []
    while len(seen) <= RETAKES:
        seen.append(_seen(context, case, f"capture-{case}{f'-{len(seen) + 1}' if seen else ''}.pcapng", evidence))
        if not seen[-1].disturbed:
            break
    return seen


def _schedule(context: Run, case: str) -> Schedule:
    if case == DAYS:
        return Schedule(RFC_RETRY_S, RFC_GIVE_UP_S, CONNECT_TIMEOUT_S)
    return Schedule(context.parameters["retry"], GIVE_UP_S if case == EXPIRE else LONG_S, CONNECT_TIMEOUT_S)


def _legs(context: Run) -> Legs:
    return Legs(NEAR_S, context.parameters["rtt"], NEAR_S, BW_MBIT)


def _seen(context: Run, case: str, name: str, evidence: OutageEvidence) -> Seen:
    """Run one outage in a new network; return it with its captured traffic and measured times."""
    schedule, what = _schedule(context, case), Path(name).stem.removeprefix("capture-")
    flags = {"flags_a": schedule.flags, "flags_b": schedule.flags}
    topo = _legs(context).topology(backup="no", names=NAMES_DELAY, **flags)
    servers = {host: mail_host(topo, host, context.replacements, schedule) for host in ("mail-a", "mail-b")}
    testbed = make_testbed(context, topo, {host: server.start for host, server in servers.items()})
    between = [] if evidence.checks else _legs(context).paths()[1:2]
    with measured(context, testbed, between, evidence, progress=None) as lab:
        client = context.replacements.get(AGENT_ROLE)
        network = MailNetwork(lab.bed, servers["mail-a"], servers["mail-b"], client)
        with lab.recording(["mail-a", *_read_at(case)], name, label=what):
            outage = _give_up(context, network, case) if case in FOR_GOOD else _outage(context, network, case)
            composed = _composed(context, case)
    captured = lab.read_capture()
    episode = _episode(captured, outage, case, composed)
    return Seen(episode, name, _timed(context, case, episode, captured, topo, evidence.watch))


def _read_at(case: str) -> list[str]:
    """Return the hosts to capture besides mail-a: mail-b and bob, or alice in cases that return messages to her."""
    return ["alice"] if case in FOR_GOOD else ["mail-b", "bob"]


def _composed(context: Run, case: str) -> tuple[bytes, ...]:
    """Return the messages that Alice submits in a case (kind of outage), before and during the outage."""
    count, seed = context.parameters["messages"], context.seed
    if case in FOR_GOOD:
        return tuple(_messages(_count(context, case), "never", seed))
    return (*_messages(1, "before", seed), *_messages(count, "during", seed))


def _episode(captured: CaptureFile, outage: Outage, case: str, composed: tuple[bytes, ...]) -> Episode:
    at_sender = smtp_traffic(captured, AT_SENDER)
    return Episode(
        outage,
        at_sender.to(SENDER_ADDRESS),
        at_sender.to(RECEIVER_ADDRESS),
        None if case in FOR_GOOD else smtp_traffic(captured, AT_RECEIVER, [SMTP_PORT]).to(RECEIVER_ADDRESS),
        imap_traffic(captured, first_interface(_read_at(case)[-1])),
        composed,
    )


def _outage(context: Run, network: MailNetwork, case: str) -> Outage:
    """Stop and restart the receiving server while messages are submitted; return the times of the outage.

    In the case SERVICE the sender's server is killed as well.
    """
    asked, kills = context.parameters, []
    _hand_in(network, _messages(1, "before", context.seed))
    _wait_for(network.receiver, "bob", 1)
    # Wait until the servers have closed their session, since an open connection would hang on the lost link.
    time.sleep(GOODBYE_S + 4 * asked["rtt"])
    began_ns = time.time_ns()
    _lose(network, case)
    _hand_in(network, _messages(asked["messages"], "during", context.seed))
    # After the failure the queue has messages to retry; without a RST, an attempt ends only by its time-out.
    away_ns, away_s = time.time_ns(), asked["down"] + (CONNECT_TIMEOUT_S if case == LINK else 0)
    _until(away_ns, away_s * KILL_AT)
    if case == SERVICE:
        kills.append(_kill_sender(network))
    _until(away_ns, away_s)
    _restore(network, case)
    back_ns = time.time_ns()
    if case == SERVICE:
        _wait_for(network.receiver, "bob", 1 + int(KILL_BEHIND * asked["messages"]))
        kills.append(_kill_sender(network))
    _wait_for(network.receiver, "bob", 1 + asked["messages"])
    # Wait for duplicates, which may arrive with the next retry after a kill, otherwise at once.
    time.sleep(_bound_s(context) if kills else SLACK_S)
    _read(network, "bob", RECEIVER_ADDRESS)
    return Outage(WORDS[case], RECEIVER_ADDRESS, began_ns, back_ns, tuple(kills), _bound_s(context, case))


def _count(context: Run, case: str) -> int:
    """Return the number of messages that Alice submits during an outage of this case."""
    count: int = context.parameters["messages"]
    return min(count, DAYS_MESSAGES) if case == DAYS else count


def _give_up(context: Run, network: MailNetwork, case: str) -> Outage:
    """Stop the receiving server permanently, and wait until the sender's server has returned every message as a DSN."""
    count, keeping = _count(context, case), None
    began_ns = time.time_ns()
    network.receiver.kill_mta()
    _hand_in(network, _messages(count, "never", context.seed))
    if case == DAYS:
        keeping = RetryPolicy(RFC_RETRY_S, 2 * RFC_RETRY_S, RFC_KEPT_S)
        # Wait two intervals beyond five days, since a message expires at the attempt after its expiry time.
        time.sleep(RFC_GIVE_UP_S + 2 * RFC_RETRY_S)
    _wait_for(network.sender, "alice", count)
    _read(network, "alice", SENDER_ADDRESS)
    return Outage(WORDS[case], RECEIVER_ADDRESS, began_ns, None, (), _bound_s(context), keeping)


def _wait_for(server: MailHost, user: str, count: int) -> None:
    """Wait for messages in an INBOX, at most until a time-out; missing messages are reported by the claim's check."""
    with suppress(EmulationError):
        wait_for_count(server, user, count, PATIENCE_S + count * A_MESSAGE_S)


def _bound_s(context: Run, case: str = SERVICE) -> float:
    """Return the maximum time in s from the return of the receiving server to the next delivery attempt."""
    retry_s = context.parameters["retry"] * (2 if MTA_ROLE in context.replacements else 1)
    return float(retry_s + SLACK_S + (CONNECT_TIMEOUT_S if case == LINK else 0))


def _messages(count: int, kind: str, seed: int) -> list[bytes]:
    """Return generated messages from Alice to Bob, each with a different body."""
    random, made = Random(f"{kind} {seed}"), []
    for number in range(count):
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"], message["Subject"] = ALICE, BOB, f"{kind} {number}"
        message["Message-ID"] = f"<{kind}.{number}.{random.getrandbits(64):x}@example.org>"
        message.set_content(f"{kind} {number} {random.getrandbits(64):016x}\n{text(random, 10)}")
        made.append(message.as_bytes())
    return made


def _hand_in(network: MailNetwork, messages: Sequence[bytes]) -> None:
    """Submit messages to Alice's server: by smtplib over one connection, or by one client process per message."""
    alice, paths = network.bed.host("alice"), []
    for number, message in enumerate(messages):
        path: Path = alice.workdir / f"message{number}"
        path.write_bytes(message)
        paths.append(path)
    if network.client is None:
        send(alice, network.sender, "alice", BOB, *paths)
        return
    for path in paths:
        run_client(alice, network.client, Task("send", network.sender, "alice", recipient=BOB, message=path))


def _read(network: MailNetwork, user: str, address: str) -> None:
    """Fetch all messages of a user's INBOX by IMAP, so that the capture contains the messages."""
    steps = [
        ("login", user, PASSWORDS[user]),
        ("select", "INBOX", True),
        ("fetch", "1:*", "(BODY.PEEK[])"),
        ("logout",),
    ]
    Reader(network.bed.host(user), address).session("IMAP", steps)


def _lose(network: MailNetwork, case: str) -> None:
    if case == LINK:
        unplug(network.bed, "mail-b")
    else:
        network.receiver.kill_mta()


def _restore(network: MailNetwork, case: str) -> None:
    if case == LINK:
        plug_in(network.bed, "mail-b")
    else:
        network.receiver.start_mta()


def _kill_sender(network: MailNetwork) -> tuple[int, int]:
    """Kill and restart the sender's server; return (time of the kill, time of the restart) in ns."""
    killed_ns = time.time_ns()
    network.sender.kill_mta()
    network.sender.start_mta()
    return killed_ns, time.time_ns()


def _until(began_ns: int, after_s: float) -> None:
    time.sleep(max(0.0, after_s - (time.time_ns() - began_ns) / NS))


def _timed(
    context: Run, case: str, episode: Episode, captured: CaptureFile, topo: MailTopo, watch: MachineWatch
) -> list[tuple[Timing, Theory]]:
    """Return the (measured, predicted) times of an outage; empty for the case EXPIRE, whose times are not compared."""
    if case == EXPIRE:
        return []
    if case == DAYS:
        theory = completed(spacing(context.parameters["rtt"], RFC_RETRY_S), True, BW_MBIT * 1e6, None)
        return [(timing, theory) for timing in retry_intervals(episode)]
    found = resumption(episode)
    if found is None:
        return []
    asked, is_refused = context.parameters, case == SERVICE
    sample = TimedSample(AT_SENDER, found.first.began_ns, found.taken_ns, recovery_timing(found))
    (omitted,) = left_out(between_servers(captured, sample), topo, [sample])
    theory = recovery(is_refused, asked["rtt"], asked["retry"], CONNECT_TIMEOUT_S)
    timing = watch.with_disturbance(sample.timing, sample.first_ns, sample.last_ns)
    return [(timing, completed(theory, is_refused, BW_MBIT * 1e6, omitted))]


def _tolerance(context: Run) -> float:
    return TOLERANCE_OF_OTHERS if MTA_ROLE in context.replacements else TOLERANCE_OF_DIALOGUE


def _panels(context: Run, episodes: Mapping[str, Episode]) -> list[Panel]:
    """Return the plot's panels: counts of failed attempts and of delivered messages over time since the outage."""
    tries, mails = [], []
    for case, episode in episodes.items():
        began_ns = episode.outage.began_ns
        failed = [(one.began_ns - began_ns) / NS for one in during(episode)]
        every_s = _schedule(context, case).retry_s + (CONNECT_TIMEOUT_S if case == LINK else 0)
        points = [(at_s, attempt_number(failed, at_s, every_s)) for at_s in failed]
        line = [(failed[0] + (number - 1) * every_s, number) for number in sorted({number for _, number in points})]
        tries.append(Series(WORDS[case], points, line))
        arrived = episode.arriving.messages if episode.arriving is not None else []
        times = sorted(one.sent.final.last_ns for one in arrived if one.taken and one.sent.final is not None)
        come = [((at_ns - began_ns) / NS, float(number)) for number, at_ns in enumerate(times) if at_ns >= began_ns]
        mails.append(Series(WORDS[case], come, ()))
    return [
        Panel("failed attempts", "s since the loss", "attempts", tries),
        Panel("messages delivered", "s since the fault", "messages", mails),
    ]


EXPERIMENT = Experiment(
    name="mail-outage",
    question="What happens to mail while the receiving server is down?",
    claims=("S5",),
    parameters={
        "rtt": Parameter("100ms", seconds, "the round-trip time between the two servers"),
        "messages": Parameter("20", whole(4, 1000), "the number of messages submitted during the outage", full="200"),
        "retry": Parameter("1", whole(1, 60), "the retry interval of the sender's server in seconds"),
        "down": Parameter("2s", seconds, "the duration of the outage after the last message was submitted"),
        "case": Parameter(
            ",".join(SHORT_CASES),
            choices(CASES),
            "service (server killed), link (link down), expire (until messages expire), days (five days, in "
            "virtual time), or all",
            full="all",
        ),
    },
    run=run,
    repeat=1,
    roles=(MTA_ROLE, ACCESS_ROLE, AGENT_ROLE),
)
