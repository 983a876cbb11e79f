"""What becomes of mail while the receiving server is down?  (claim S5)

Alice hands messages in while Bob's server is killed, and in another network while its cable is pulled. Her own server
tries again and again; it is killed itself (SIGKILL) with messages in its queue, and once more while it delivers. When
Bob's server is back, what is in his mailbox is compared with what was taken over, and the time to the next attempt with
the schedule. In a third network his server stays away until Alice's gives up: the messages come back as reports. The
long run has a fourth, in which that takes the five days of RFC 5321, which only virtual time can wait for.

What disturbed a time is measured where a time has a dialogue in it: the delivery that is taken up again. An outage in
which the machine disturbed that beyond the bound is had once more, in a network of its own. The schedule of days has no
such terms: it runs in virtual time alone, and by a machine's clock the milliseconds that a program waits are nothing
beside an interval of half an hour.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from random import Random

from experiments.harness import clock
from experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from experiments.harness.fidelity.certificate import MachineWatch, capture_checks, certificate, probe_path
from experiments.harness.fidelity.disturbance import RETAKES
from experiments.harness.implementations.registry import ACCESS_ROLE, AGENT_ROLE, MTA_ROLE, SMTP_PORT, Implementation
from experiments.harness.judge.frames import CaptureFile, read_capture
from experiments.harness.parameters import choices, seconds, whole
from experiments.harness.report.line_plots import Panel, Series, plot_lines
from experiments.harness.results.result import Check, Timing
from experiments.harness.theory.tcp import TOLERANCE_OF_DIALOGUE, Theory
from experiments.mail.claims.outage import Episode, Outage, decide_outage, during, resumption
from experiments.mail.clients import Errand, check_able, client_name, run_client
from experiments.mail.lab import (
    ALICE,
    AT_ALICE,
    AT_BOB,
    AT_RECEIVER,
    AT_SENDER,
    BOB,
    PASSWORDS,
    RECEIVER_ADDRESS,
    SENDER_ADDRESS,
    Legs,
    capture_legs,
)
from experiments.mail.mailboxes import Reader, send, text, wait_for_count
from experiments.mail.servers import MailHost, Schedule, mail_host, names_of
from experiments.mail.theory.outage import completed, recovery, spacing
from experiments.mail.times import Timed, compared, left_out
from experiments.mail.wire.attempts import NS, RetryPolicy
from experiments.mail.wire.imap import imap_traffic
from experiments.mail.wire.outage_times import between_servers, recovery_timing, round_of, spacings
from experiments.mail.wire.smtp import smtp_traffic
from topologies.emulation.errors import EmulationError
from topologies.emulation.testbed import Testbed, plug_in, unplug
from topologies.mail import MailTopo

SERVICE, LINK, EXPIRE, DAYS = "service", "link", "expire", "days"
CASES = (SERVICE, LINK, EXPIRE, DAYS)
SHORT_CASES = (SERVICE, LINK, EXPIRE)
WORDS = {
    SERVICE: "Bob's server is killed",
    LINK: "its cable is pulled",
    EXPIRE: "it stays away",
    DAYS: "it stays away for days",
}
# Cases in which it does not come back.
FOR_GOOD = (EXPIRE, DAYS)
# RFC 5321 section 4.5.4.1: the retry interval is at least 30 minutes, and a message is given up after 4 to 5 days.
RFC_RETRY_S, RFC_KEPT_S, RFC_GIVE_UP_S = 1800, 4 * 86_400, 5 * 86_400
# Reports show what became of each message; more of them would show no more.
DAYS_MESSAGES = 4
# Round-trip times of the legs beside that between the servers, and its rate; delays of the name servers.
NEAR_S, BW_MBIT, NAMES_DELAY = 0.005, 10.0, "1ms"
CONNECT_TIMEOUT_S = 1
# A message is given up after so many seconds; where it is not to be, after a day.
GIVE_UP_S, LONG_S = 2, 86_400
# When, in a run's outage, the sender's server is killed; and of the messages those that are there when it is again.
KILL_AT, KILL_BEHIND = 0.5, 0.25
# What programs and the machine's scheduler take until an attempt that is due is on the wire.
SLACK_S = 0.5
# What servers take to say goodbye, beside their round trips.
GOODBYE_S = 0.2
# lab7's server counts from each failure; others look through their queues once an interval, and may just have.
TOLERANCE_OF_OTHERS = 1.0
# How long messages are waited for, beside what each of them may take.
PATIENCE_S, A_MESSAGE_S = 10.0, 0.5
NOTE = (
    "a point is a connection that the sender's server tries, or a message that has come to Bob's; lines: tries as the "
    "schedule has them, each an interval behind the one before"
)


@dataclass
class Evidence:
    """What has been collected: checks, the watch over the machine, by case its outages; one is not the last of its case
    where the machine disturbed it.
    """

    checks: list[Check] = field(default_factory=list)
    watch: MachineWatch = field(default_factory=MachineWatch)
    outages: dict[str, list[Seen]] = field(default_factory=dict)

    def episodes(self, cases: Iterable[str]) -> list[Episode]:
        """Every outage of these cases."""
        return [one.episode for case in cases for one in self.outages.get(case, [])]


@dataclass(frozen=True)
class Seen:
    """What was seen of one outage: its capture there, and each time beside its theory."""

    episode: Episode
    capture: str
    times: list[tuple[Timing, Theory]]

    @property
    def disturbed(self) -> bool:
        """Whether the machine disturbed a time of it beyond the bound."""
        return any(timing.beside(theory.terms).disturbed for timing, theory in self.times)


@dataclass(frozen=True)
class Lab:
    """A running network: its testbed, the two mail servers, and what Alice sends with (None: Python's smtplib)."""

    bed: Testbed
    sender: MailHost
    receiver: MailHost
    client: Implementation | None


def run(context: Run) -> Outcome:
    """Have each kind of outage in a network of its own; judge, compare."""
    check_able(context.replacements.get(AGENT_ROLE), "send")
    if DAYS in context.parameters["case"] and clock.current().word != "virtual":
        raise EmulationError("the case days of mail-outage takes five days of time: run it with --time virtual")
    evidence, cases = Evidence(), context.parameters["case"]
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
        fidelity=certificate([*evidence.checks, *evidence.watch.checks()]),
        implementations={**names_of(context.replacements), AGENT_ROLE: client_name(context.replacements)},
        timings=timings,
        capture=evidence.outages[cases[-1]][-1].capture,
        plot=plot_lines(_panels(context, {case: some[-1].episode for case, some in evidence.outages.items()}), NOTE),
    )


def _outages(context: Run, case: str, evidence: Evidence) -> list[Seen]:
    """One outage, and others like it while the machine disturbs it beyond the bound, up to a limit."""
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


@contextmanager
def _lab(context: Run, case: str) -> Iterator[Lab]:
    schedule = _schedule(context, case)
    flags = {"flags_a": schedule.flags, "flags_b": schedule.flags}
    topo = _legs(context).topology(backup="no", names=NAMES_DELAY, **flags)
    servers = {name: mail_host(topo, name, context.replacements, schedule) for name in ("mail-a", "mail-b")}
    starters = {name: server.start for name, server in servers.items()}
    with Testbed(topo, seed=context.seed, links=context.links, sandboxed=context.sandboxed, starters=starters) as bed:
        yield Lab(bed, servers["mail-a"], servers["mail-b"], context.replacements.get(AGENT_ROLE))


def _seen(context: Run, case: str, name: str, evidence: Evidence) -> Seen:
    """One outage in a network of its own; returns what was seen of it."""
    path, labels = context.folder / name, [AT_SENDER, *_read_at(case)]
    with _lab(context, case) as lab:
        if not evidence.checks:
            between = _legs(context).paths()[1]
            evidence.checks += probe_path(lab.bed, between)
        with evidence.watch, capture_legs(lab.bed, path, labels) as capture:
            outage = _give_up(context, lab, case) if case in FOR_GOOD else _outage(context, lab, case)
            composed = _composed(context, case)
        topo = lab.bed.topo
    what = path.stem.removeprefix("capture-")
    evidence.checks += capture_checks({f"{label} ({what})": one for label, one in capture.statistics.items()})
    captured = read_capture(path)
    evidence.watch.follow(captured, topo)
    episode = _episode(captured, outage, case, composed)
    return Seen(episode, name, _timed(context, case, episode, captured, topo, evidence.watch))


def _read_at(case: str) -> list[str]:
    """Where it is seen what became of messages: at the receiver's server and at Bob's, or at Alice's."""
    return [AT_ALICE] if case in FOR_GOOD else [AT_RECEIVER, AT_BOB]


def _composed(context: Run, case: str) -> tuple[bytes, ...]:
    """What Alice is to hand in."""
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
        imap_traffic(captured, _read_at(case)[-1]),
        composed,
    )


def _outage(context: Run, lab: Lab, case: str) -> Outage:
    """The receiver is lost under load, comes back, and the sender's server is killed before and behind that."""
    asked, kills = context.parameters, []
    _hand_in(lab, _messages(1, "before", context.seed))
    _wait_for(lab.receiver, "bob", 1)
    # The servers say goodbye: a connection that is under way would hang where the cable is pulled.
    time.sleep(GOODBYE_S + 4 * asked["rtt"])
    began_ns = time.time_ns()
    _lose(lab, case)
    _hand_in(lab, _messages(asked["messages"], "during", context.seed))
    # From now on: there is something to try with. Where nobody answers a try takes longer.
    away_ns, away_s = time.time_ns(), asked["down"] + (CONNECT_TIMEOUT_S if case == LINK else 0)
    _until(away_ns, away_s * KILL_AT)
    if case == SERVICE:
        kills.append(_kill_sender(lab))
    _until(away_ns, away_s)
    _restore(lab, case)
    back_ns = time.time_ns()
    if case == SERVICE:
        _wait_for(lab.receiver, "bob", 1 + int(KILL_BEHIND * asked["messages"]))
        kills.append(_kill_sender(lab))
    _wait_for(lab.receiver, "bob", 1 + asked["messages"])
    # Whatever would still come, and be there twice, comes within an interval; where nobody was killed it comes at once.
    time.sleep(_bound_s(context) if kills else SLACK_S)
    _read(lab, "bob", RECEIVER_ADDRESS)
    return Outage(WORDS[case], RECEIVER_ADDRESS, began_ns, back_ns, tuple(kills), _bound_s(context, case))


def _count(context: Run, case: str) -> int:
    """How many messages are handed in while the peer is away."""
    count: int = context.parameters["messages"]
    return min(count, DAYS_MESSAGES) if case == DAYS else count


def _give_up(context: Run, lab: Lab, case: str) -> Outage:
    """The receiver is lost for good."""
    count, keeping = _count(context, case), None
    began_ns = time.time_ns()
    lab.receiver.kill_mta()
    _hand_in(lab, _messages(count, "never", context.seed))
    if case == DAYS:
        keeping = RetryPolicy(RFC_RETRY_S, 2 * RFC_RETRY_S, RFC_KEPT_S)
        # What is due at the end of five days is given up with the attempt that follows.
        time.sleep(RFC_GIVE_UP_S + 2 * RFC_RETRY_S)
    _wait_for(lab.sender, "alice", count)
    _read(lab, "alice", SENDER_ADDRESS)
    return Outage(WORDS[case], RECEIVER_ADDRESS, began_ns, None, (), _bound_s(context), keeping)


def _wait_for(server: MailHost, user: str, count: int) -> None:
    """Wait for messages; what does not come in time is for the judge to find missing."""
    with suppress(EmulationError):
        wait_for_count(server, user, count, PATIENCE_S + count * A_MESSAGE_S)


def _bound_s(context: Run, case: str = SERVICE) -> float:
    """How long after the peer's return the next attempt may be."""
    retry_s = context.parameters["retry"] * (2 if MTA_ROLE in context.replacements else 1)
    return float(retry_s + SLACK_S + (CONNECT_TIMEOUT_S if case == LINK else 0))


def _messages(count: int, kind: str, seed: int) -> list[bytes]:
    """Messages that are told apart by their bodies."""
    random, made = Random(f"{kind} {seed}"), []
    for number in range(count):
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"], message["Subject"] = ALICE, BOB, f"{kind} {number}"
        message["Message-ID"] = f"<{kind}.{number}.{random.getrandbits(64):x}@example.org>"
        message.set_content(f"{kind} {number} {random.getrandbits(64):016x}\n{text(random, 10)}")
        made.append(message.as_bytes())
    return made


def _hand_in(lab: Lab, messages: Sequence[bytes]) -> None:
    """Alice hands messages in at her server: on one connection, or by a program for each."""
    alice, paths = lab.bed.host("alice"), []
    for number, message in enumerate(messages):
        path: Path = alice.workdir / f"message{number}"
        path.write_bytes(message)
        paths.append(path)
    if lab.client is None:
        send(alice, lab.sender, "alice", BOB, *paths)
        return
    for path in paths:
        run_client(alice, lab.client, Errand("send", lab.sender, "alice", recipient=BOB, message=path))


def _read(lab: Lab, user: str, address: str) -> None:
    """All that is in a mailbox, by IMAP."""
    steps = [
        ("login", user, PASSWORDS[user]),
        ("select", "INBOX", True),
        ("fetch", "1:*", "(BODY.PEEK[])"),
        ("logout",),
    ]
    Reader(lab.bed.host(user), address).session("IMAP", steps)


def _lose(lab: Lab, case: str) -> None:
    if case == LINK:
        unplug(lab.bed, "mail-b")
    else:
        lab.receiver.kill_mta()


def _restore(lab: Lab, case: str) -> None:
    if case == LINK:
        plug_in(lab.bed, "mail-b")
    else:
        lab.receiver.start_mta()


def _kill_sender(lab: Lab) -> tuple[int, int]:
    """Kill the sender's server and start it again; returns when that was."""
    killed_ns = time.time_ns()
    lab.sender.kill_mta()
    lab.sender.start_mta()
    return killed_ns, time.time_ns()


def _until(began_ns: int, after_s: float) -> None:
    time.sleep(max(0.0, after_s - (time.time_ns() - began_ns) / NS))


def _timed(
    context: Run, case: str, episode: Episode, captured: CaptureFile, topo: MailTopo, watch: MachineWatch
) -> list[tuple[Timing, Theory]]:
    """Each time of an outage beside its theory."""
    if case == EXPIRE:
        return []
    if case == DAYS:
        theory = completed(spacing(context.parameters["rtt"], RFC_RETRY_S), True, BW_MBIT * 1e6, None)
        return [(timing, theory) for timing in spacings(episode)]
    found = resumption(episode)
    if found is None:
        return []
    asked, is_refused = context.parameters, case == SERVICE
    sample = Timed(AT_SENDER, found.first.began_ns, found.taken_ns, recovery_timing(found))
    (beyond,) = left_out(between_servers(captured, sample), topo, [sample])
    theory = recovery(is_refused, asked["rtt"], asked["retry"], CONNECT_TIMEOUT_S)
    timing = watch.noted(sample.timing, sample.first_ns, sample.last_ns)
    return [(timing, completed(theory, is_refused, BW_MBIT * 1e6, beyond))]


def _tolerance(context: Run) -> float:
    return TOLERANCE_OF_OTHERS if MTA_ROLE in context.replacements else TOLERANCE_OF_DIALOGUE


def _panels(context: Run, episodes: Mapping[str, Episode]) -> list[Panel]:
    """Attempts that fail, and messages that come in, over the time since the loss."""
    tries, mails = [], []
    for case, episode in episodes.items():
        began_ns = episode.outage.began_ns
        failed = [(one.began_ns - began_ns) / NS for one in during(episode)]
        every_s = _schedule(context, case).retry_s + (CONNECT_TIMEOUT_S if case == LINK else 0)
        points = [(at_s, round_of(failed, at_s, every_s)) for at_s in failed]
        line = [(failed[0] + (number - 1) * every_s, number) for number in sorted({number for _, number in points})]
        tries.append(Series(WORDS[case], points, line))
        arrived = episode.arriving.messages if episode.arriving is not None else []
        times = sorted(one.sent.final.last_ns for one in arrived if one.taken and one.sent.final is not None)
        come = [((at_ns - began_ns) / NS, float(number)) for number, at_ns in enumerate(times) if at_ns >= began_ns]
        mails.append(Series(WORDS[case], come, ()))
    return [
        Panel("attempts that fail", "s since the loss", "attempts", tries),
        Panel("messages delivered", "s since the loss", "messages", mails),
    ]


EXPERIMENT = Experiment(
    name="mail-outage",
    question="What becomes of mail while the receiving server is down?",
    claims=("S5",),
    parameters={
        "rtt": Parameter("100ms", seconds, "the round-trip time between the two servers"),
        "messages": Parameter("20", whole(4, 1000), "how many messages are handed in while it is down", full="200"),
        "retry": Parameter("1", whole(1, 60), "how many seconds the sender's server waits before it tries again"),
        "down": Parameter("2s", seconds, "how long the receiving server is down with messages for it"),
        "case": Parameter(
            ",".join(SHORT_CASES),
            choices(CASES),
            "how: service (killed), link (cut off), expire (for good), days (for five days, in virtual time), or all",
            full="all",
        ),
    },
    run=run,
    repeat=1,
    roles=(MTA_ROLE, ACCESS_ROLE, AGENT_ROLE),
)
