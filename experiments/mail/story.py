"""Experiment on a message from Alice to Bob: steps of delivery, and their times.

Alice composes a message with two pictures and submits it to her server, which resolves the MX of Bob's domain, connects
to his server and transfers the message; Bob fetches it by POP3. Each step is timed from packets and compared with
theory (round trips and transmission times). Alice's name server is restarted before each message, so that every lookup
is in the capture. Then several messages are relayed between the servers: with and without PIPELINING, over one
connection and over one connection per message. Finally a message with many dots at the beginning of lines is sent, the
textbook's dialogue is run, and the same objects are loaded by HTTP.

Claims of the course that are decided: relaying (S1), push (S2), the order of the steps (S3), the SMTP dialogue (S4),
several messages on one connection (S7), 7-bit data and MIME (S8), several objects in one message (S9), the closing of
the connection (S10), dot-stuffing (S11).

With `--replace mta=...`, a third-party program replaces the receiving server (mail.example.com), since the claims are
about its replies and its closing of connections.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.fidelity.certificate import MachineWatch
from lab7.experiments.harness.implementations.registry import ACCESS_ROLE, MTA_ROLE
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.judge.verdict import Contradiction, Verdict, failed
from lab7.experiments.harness.measurement import Window, measured, site_folder
from lab7.experiments.harness.parameters import megabits, seconds, whole
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import TOLERANCE_OF_DIALOGUE, Theory
from lab7.experiments.mail.claims import content, transfer
from lab7.experiments.mail.claims import story as mail_story
from lab7.experiments.mail.claims.delivery import BLANK_LINE, stored_bodies
from lab7.experiments.mail.claims.story import HostTimes
from lab7.experiments.mail.claims.transfer import Addresses, MailLegs, mail_legs
from lab7.experiments.mail.lab import (
    ALICE,
    BOB,
    LEGS,
    RECEIVER_ADDRESS,
    SENDER_ADDRESS,
    SENDER_NAME,
    Legs,
    UserAgent,
    WebClient,
    has_failed_attempt,
    mail_testbed,
    mailbox,
    restart_mta,
    wait_for_messages,
    wait_until_quiet,
    was_connected,
)
from lab7.experiments.mail.servers import names_of
from lab7.experiments.mail.times import (
    WAYS,
    ClosedForm,
    Lookups,
    TimedSample,
    compared,
    step_theories,
    step_timings,
    theories,
    way_theory,
    way_timing,
)
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.mail import ALICE_ADDRESS, BOB_ADDRESS, PAGES, MailTopo

RECEIVER = "mail-b"
WHO = Addresses(ALICE_ADDRESS, SENDER_ADDRESS, RECEIVER_ADDRESS, BOB_ADDRESS)
LETTER = "Dear Bob,\nthis is the view from my window.\nAlice\n"
PICTURES = ("picture.jpg", "wave.png")
LETTER_NAME = "letter.txt"
# Time-out of a delivery in s: six round trips, and programs on a busy machine.
DELIVERY_S = 20.0
# Time-out in s of deliveries after a failed one, so that a server which loses messages is not awaited each time.
FURTHER_DELIVERY_S = 3.0
# Blocks of dots are shifted by one octet each, so that some stuffed dots lie at boundaries of TCP segments.
DOTS = ".\n" * 400
DOTTED = "".join(f"{'x' * shift}\n{DOTS}" for shift in range(4)) + "..two\n.hidden\n. \nthe end.\n"
TEXTBOOK = (
    ("say", f"HELO {SENDER_NAME}"),
    ("say", f"MAIL FROM:<{ALICE}>"),
    ("say", f"RCPT TO:<{BOB}>"),
    ("say", "DATA"),
    ("data", f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: by the book\r\n\r\nDo you like ketchup?\r\n"),
    ("say", "QUIT"),
)


@dataclass(frozen=True)
class StoryRun:
    """Run of one message from composition to retrieval: time span, message, and times of events without packets."""

    start_ns: int
    end_ns: int
    inside: HostTimes
    composed: bytes

    @property
    def window(self) -> Window:
        """Return the time span from composition to retrieval."""
        return Window(self.start_ns, self.end_ns)


@dataclass(frozen=True)
class RelayRun:
    """Run that relays several messages by one method (times.Way): time span, and bodies of the delivered messages."""

    start_ns: int
    end_ns: int
    bodies: list[bytes]

    @property
    def window(self) -> Window:
        """Return the time span of the submission and relaying."""
        return Window(self.start_ns, self.end_ns)


@dataclass
class Done:
    """Results of all runs of the experiment: runs of one message, and of several messages by relaying method.

    dots, textbook, web: time spans of the actions that are needed for one claim only; failures: error texts. Disturbed
    runs (delayed by waits for a processor) are included besides their repetitions.
    """

    stories: list[StoryRun] = field(default_factory=list)
    ways: dict[str, list[RelayRun]] = field(default_factory=dict)
    dots: Window | None = None
    dotted: bytes = b""
    textbook: Window | None = None
    web: Window | None = None
    failures: dict[str, str] = field(default_factory=dict)

    def note(self, what: str, problems: Sequence[str]) -> None:
        """Record the errors of a part of the experiment under the name `what`; its packets remain evidence."""
        if problems:
            self.failures[what] = "; ".join(problems)


class Correspondence:
    """Actions of Alice and Bob in a running network (compose, submit, relay, fetch), of which the workload consists."""

    def __init__(self, context: Run, bed: Testbed) -> None:
        self._bed = bed
        self._context = context
        self.alice, self.bob = UserAgent(bed.host("alice")), UserAgent(bed.host("bob"))
        self.clerk = UserAgent(bed.host("mail-a"))
        self.web = WebClient(bed.host("bob"))
        self._box = mailbox(bed.host("mail-b"))
        self._count = 0
        self._problems: list[str] = []
        # True once the sender's server had to try again, or to use the backup: Bob's server replies wrongly.
        self._is_refused = False

    def problems(self) -> list[str]:
        """Return the error texts recorded since the last call, and clear them."""
        found, self._problems = self._problems, []
        return found

    def compose(self, subject: str, text: str, files: Sequence[Path] = ()) -> tuple[Path, Window]:
        """Compose a message from Alice to Bob; return (path of the file, time span)."""
        self._count += 1
        path = self._bed.host("alice").workdir / f"message-{self._count}.eml"
        return path, self.alice.compose(path, subject, text, files)

    def story(self, subject: str, text: str, files: Sequence[Path] = ()) -> StoryRun:
        """Send one message, from composition by Alice to retrieval by Bob, with empty DNS caches."""
        self._bed.restart("dns-a")
        path, composing = self.compose(subject, text, files)
        self._attempt(lambda: self.alice.send([path]))
        filed = self._arrived(1)
        inside = HostTimes(composing.start_ns, composing.end_ns, filed[0].stat().st_ctime_ns if filed else 0)
        self._quiet()
        if filed:
            self._attempt(self.bob.fetch)
        ended_ns = time.time_ns()
        self._clear()
        return StoryRun(composing.start_ns, ended_ns, inside, path.read_bytes())

    def relay(self, count: int, flags: str) -> RelayRun:
        """Submit `count` messages to Alice's server over one connection, and wait until it has relayed them.

        `flags`: command-line options of the server, which select the relaying method.
        """
        restart_mta(self._bed, "mail-a", flags)
        # Number the messages, so that their bodies differ.
        numbers = range(self._count + 1, self._count + 1 + count)
        paths = [self.compose(f"letter {number}", f"{number:04}. {LETTER}")[0] for number in numbers]
        began_ns = time.time_ns()
        self._attempt(lambda: self.alice.send(paths))
        self._arrived(count)
        ended_ns = self._quiet()
        bodies = stored_bodies([one.read_bytes() for one in self._mailbox()])
        self._clear()
        return RelayRun(began_ns, ended_ns, bodies)

    def textbook_dialogue(self) -> Window:
        """Run the SMTP dialogue of textbooks (HELO to QUIT) from Alice's server; return the time span."""
        began_ns = time.time_ns()
        self._attempt(lambda: self.clerk.dialogue(TEXTBOOK))
        self._arrived(1)
        self._clear()
        return Window(began_ns, time.time_ns())

    def _attempt(self, act: Callable[[], object]) -> None:
        """Call a function; record an EmulationError as a problem, since a faulty server can cause one."""
        try:
            act()
        except EmulationError as error:
            self._problems.append(str(error))

    @property
    def _delivery_s(self) -> float:
        return FURTHER_DELIVERY_S if self._problems or self._is_refused else DELIVERY_S

    def _has_failed(self) -> bool:
        self._is_refused |= has_failed_attempt(self._bed.host("mail-a")) or was_connected(self._bed.host("backup"))
        return self._is_refused

    def _arrived(self, count: int) -> list[Path]:
        """Wait for `count` messages in Bob's mailbox, at most DELIVERY_S; return the files by time of arrival."""
        further_s = FURTHER_DELIVERY_S
        self._attempt(lambda: wait_for_messages(self._box, count, self._delivery_s, self._has_failed, further_s))
        return sorted(self._box.glob("*"), key=lambda path: path.stat().st_ctime_ns)

    def _quiet(self) -> int:
        self._attempt(lambda: wait_until_quiet(self._bed.host("mail-a"), timeout_s=self._delivery_s))
        return time.time_ns()

    def _mailbox(self) -> list[Path]:
        """Return the files of all messages in Bob's mailbox, in new/ and cur/."""
        return [one for place in ("new", "cur") for one in (self._box.parent / place).glob("*")]

    def _clear(self) -> None:
        """Remove all messages from Bob's mailbox, so that they are not mistaken for later messages."""
        for one in self._mailbox():
            one.unlink(missing_ok=True)


def run(context: Run) -> Outcome:
    """Send messages from Alice to Bob, decide the claims, and compare the times of the steps with theory."""
    asked = context.parameters
    if 2 * asked["near"] > asked["rtt"]:
        # Require submission to be no slower than relaying: otherwise each message is relayed on a separate connection.
        raise EmulationError(
            "near must be at most half of rtt: otherwise the messages arrive too slowly to share a connection"
        )
    legs = Legs(asked["near"], asked["rtt"], asked["far"], asked["bw"])
    with site_folder(context) as folder:
        objects = _objects(folder)
        topo = legs.topology(names=f"{asked['names'] / 2 * 1e6:.0f}us", root=str(folder))
        # Capture on every host, also name servers, whose packets the path model's replay needs (pathmodel.replay).
        with measured(context, mail_testbed(context, topo), legs.paths()) as lab, lab.recording(topo.hosts()):
            done = _work(context, lab.bed, folder, lab.watch)
    context.step("judging the packets", 0.9)
    captured = lab.read_capture()
    every = mail_legs(captured, LEGS, WHO)
    waiting = context.waiting(dict.fromkeys((MTA_ROLE, ACCESS_ROLE), RECEIVER))
    timings, comparisons = _compare(captured, every, done, legs, asked["names"], topo, lab.watch, waiting)
    return Outcome(
        claims=_verdicts(context, every, done, objects),
        comparisons=tuple(comparisons),
        fidelity=lab.fidelity(),
        implementations=names_of(context.replacements),
        timings=timings,
        capture=lab.path.name,
    )


def _objects(folder: Path) -> dict[str, bytes]:
    """Write the text and pictures that Alice sends and the web server serves; return {file name: octets}."""
    (folder / LETTER_NAME).write_bytes(LETTER.replace("\n", "\r\n").encode())
    for name in PICTURES:
        shutil.copyfile(PAGES / name, folder / name)
    return {name: (folder / name).read_bytes() for name in (LETTER_NAME, *PICTURES)}


def _work(context: Run, bed: Testbed, folder: Path, watch: MachineWatch) -> Done:
    done, mail = Done(), Correspondence(context, bed)
    pictures = [folder / name for name in PICTURES]
    context.step("a letter full of dots", 0.1)
    # The first message warms up all programs and is not timed.
    dots = mail.story("Dots", DOTTED)
    done.dots, done.dotted = dots.window, dots.composed.partition(BLANK_LINE)[2]
    done.note("the letter full of dots", mail.problems())
    for number in range(1, context.repeat + 1):
        context.step(f"the story, {number} of {context.repeat}", 0.1 + 0.3 * number / (context.repeat + 1))
        done.stories += watch.samples(partial(mail.story, "A picture", LETTER, pictures))
        done.note(f"the story, {number}", mail.problems())
    for number in range(context.repeat):
        for place, way in enumerate(WAYS):
            context.step(f"letters: {way.name}", 0.4 + 0.4 * (number + place / 4) / context.repeat)
            passed = watch.samples(partial(mail.relay, context.parameters["messages"], way.flags))
            done.ways.setdefault(way.name, []).extend(passed)
            done.note(way.name, mail.problems())
    context.step("the textbook's dialogue, and the web", 0.85)
    done.textbook = mail.textbook_dialogue()
    done.note("the textbook's dialogue", mail.problems())
    try:
        done.web = mail.web.visit([f"/{name}" for name in (LETTER_NAME, *PICTURES)])
    except EmulationError as error:
        done.failures["the web"] = str(error)
    return done


def _compare(
    captured: CaptureFile,
    every: MailLegs,
    done: Done,
    legs: Legs,
    names_s: float,
    topo: MailTopo,
    watch: MachineWatch,
    waiting: Collection[str],
) -> tuple[dict[str, list[Timing]], list[Comparison]]:
    """Return (measured durations, comparisons with theory) of one message's steps and of the relaying methods.

    The durations are keyed by step (queue, connect, transfer, read) or name of the relaying method.
    """
    samples: list[tuple[str, TimedSample, ClosedForm]] = []
    asked = Lookups.of(captured)
    for told in done.stories:
        part = _within(every, told.window)
        try:
            story = mail_story.message_path(part)
        except Contradiction:
            continue
        closed = step_theories(story, legs, names_s, exchanges=2)
        found = step_timings(story, part, asked, told.start_ns)
        samples += [(name, timed, closed[name]) for name, timed in found.items()]
    for way in WAYS:
        for passed in done.ways.get(way.name, []):
            part = _within(every, passed.window)
            with suppress(ValueError):
                samples.append((way.name, way_timing(part, asked), way_theory(way, part, legs)))
    predicted = theories(captured, topo, [(timed, closed) for _, timed, closed in samples], waiting)
    by_name: dict[str, list[tuple[Timing, Theory]]] = {}
    for (name, timed, _), theory in zip(samples, predicted, strict=True):
        timing = watch.with_disturbance(timed.timing, timed.first_ns, timed.last_ns)
        by_name.setdefault(name, []).append((timing, theory))
    comparisons = [compared(name, some, TOLERANCE_OF_DIALOGUE) for name, some in by_name.items()]
    return {name: [timing for timing, _ in some] for name, some in by_name.items()}, comparisons


def _verdicts(context: Run, every: MailLegs, done: Done, objects: Mapping[str, bytes]) -> tuple[Verdict, ...]:
    first, passed = done.stories[:1], done.ways.get(WAYS[0].name, [])[:1]
    story = _within(every, *(one.window for one in first))
    relay = _within(every, *(one.window for some in done.ways.values() for one in some[:1]))
    several = _within(every, *(one.window for one in passed))
    dots, textbook = _within(every, done.dots), _within(every, done.textbook)
    whole = _within(every, Window(0, 1 << 63))
    picture = objects[PICTURES[0]]
    inside, composed = (first[0].inside, first[0].composed) if first else (HostTimes(0, 0, 0), b"")
    delivered = passed[0].bodies if passed else []
    verdicts = (
        transfer.decide_relaying(story, [composed]),
        transfer.decide_push_between_servers(relay),
        mail_story.decide_delivery_steps(story, inside),
        transfer.decide_smtp_dialogue([story.submitted, story.relayed, relay.relayed, dots.relayed, textbook.relayed]),
        transfer.decide_messages_per_connection(several.relayed, context.parameters["messages"], delivered),
        content.decide_mime_picture(whole, picture),
        content.decide_multipart(_with_web(story, _within(every, done.web)), objects),
        transfer.decide_closing(whole.at_receiver),
        content.decide_dot_stuffing(dots, done.dotted),
    )
    if not done.failures:
        return verdicts
    broken = "; ".join(f"{what}: {why}" for what, why in done.failures.items())
    return tuple(
        failed(one.id, f"The experiment was interrupted: {broken}.") if one.verdict == "undecided" else one
        for one in verdicts
    )


def _within(every: MailLegs, *windows: Window | None) -> MailLegs:
    """Return the captured mail traffic of connections that begin within these time spans."""
    return every.within([(one.start_ns, one.end_ns) for one in windows if one is not None])


def _with_web(story: MailLegs, visit: MailLegs) -> MailLegs:
    return replace(story, web=visit.web)


EXPERIMENT = Experiment(
    name="mail-story",
    question="How does a message with a picture get from Alice to Bob, and how long does each step take?",
    claims=("S1", "S2", "S3", "S4", "S7", "S8", "S9", "S10", "S11"),
    parameters={
        "rtt": Parameter("100ms", seconds, "the round-trip time between the two mail servers"),
        "near": Parameter("20ms", seconds, "the round-trip time between Alice and her server"),
        "far": Parameter("40ms", seconds, "the round-trip time between Bob and his server"),
        "names": Parameter("30ms", seconds, "the round-trip time between the Internet and each name server"),
        "bw": Parameter("10", megabits, "the rate between the servers in Mbit/s"),
        "messages": Parameter("2", whole(2, 20), "the number of messages that are relayed together", full="10"),
    },
    run=run,
    repeat=2,
    roles=(MTA_ROLE, ACCESS_ROLE),
)
