"""Experiment on forged mail: treatment by a server without and with SPF, DKIM and DMARC (claims A1 to A6).

A stranger, Mallory, sends a message in Alice's name to Bob's server, which does no sender checks. The server is
restarted with sender checks, and she tries again. Alice's own message, signed by her server, reaches Bob directly and
by way of a forwarding address; Mallory sends a copy of it with another text. Finally she forges messages from two
domains with weaker DMARC policies. Bob reads INBOX and Junk by IMAP.

The claims are statements of the course: acceptance of a forged message without sender checks (A1), its rejection with
them (A2), DKIM after a change of the body (A3), forwarding (A4), DMARC policies (A5), DNS lookups of a check (A6). They
are decided from the messages and the DNS responses that the receiver's server got (see claims.authentication). The
duration of a first check, with an empty resolver cache, is compared with a closed form that counts DNS lookups. A check
that other load on the machine disturbed is repeated.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lab7.experiments.dns.wire.traffic import dns_exchanges
from lab7.experiments.harness import clock
from lab7.experiments.harness.claims import Claim
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.fidelity.certificate import EmulatedPath, MachineWatch
from lab7.experiments.harness.judge.frames import CaptureFile, connections
from lab7.experiments.harness.judge.verdict import Traffic, Verdict, failed, timed
from lab7.experiments.harness.measurement import Window, first_interface, make_testbed, measured
from lab7.experiments.harness.parameters import seconds
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import TOLERANCE_OF_DIALOGUE
from lab7.experiments.mail.claims import authentication
from lab7.experiments.mail.claims.authentication import Check, Scene
from lab7.experiments.mail.claims.imap import fetched_messages
from lab7.experiments.mail.lab import (
    ALICE,
    AT_BOB,
    AT_RECEIVER,
    BOB,
    IMAP_PORT,
    PASSWORDS,
    RECEIVER_ADDRESS,
    SENDER_ADDRESS,
    SMTP_PORT,
    UserAgent,
    mailbox,
    restart_mta,
    wait_for_messages,
    wait_until_quiet,
)
from lab7.experiments.mail.mailboxes import Reader
from lab7.experiments.mail.theory.authentication import first_check
from lab7.experiments.mail.wire import imap
from lab7.experiments.mail.wire.smtp import smtp_traffic
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.mail_forgery import (
    CHECKS,
    FORWARD_ADDRESS,
    FORWARDED,
    LISTS,
    NEWS,
    SIGNS,
    MailForgeryTopo,
)

GROUP = "Mail: authentication"
JUNK = "Junk"
PLAIN, FORGED, GENUINE, ALTERED = "Forged, unchecked", "Forged", "Genuine", "Altered"
UNSIGNED, SIGNED = "Forwarded, unsigned", "Forwarded, signed"
FROM_NEWS, FROM_LISTS = "Forged news", "Forged list"
SUBJECT = "Account"
TEXT = "Dear Bob,\nplease pay 100 crowns into the account that you know.\nAlice\n"
OLD_WORDS, NEW_WORDS = "100 crowns into the account that you know", "900 crowns into account 666"
# Time-out of a delivery in s, enough for a dozen DNS queries and the start of programs on a busy machine.
PATIENCE_S = 30.0
# One-way delay of the name servers' links in s.
NAMES_S = 0.005
BW_MBIT = 10.0
# One-way delay of each link, as a share of the round-trip time between the servers.
LEGS = {"sender": 0.1, "between": 0.5, "receiver": 0.1, "stranger": 0.5}
CAPTURED = ("alice", "mail-a", "mail-b", "dns-b", "bob", "mallory", "forward")
AT_RESOLVER = first_interface("dns-b")
# Zones from the root to example.org.
ZONES = 3
FIRST = "first check"
# Fields that Bob's server adds at the top of a message, and that are removed before sending the message again.
ADDED = re.compile(rb"(?:Return-Path|Received|Authentication-Results):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")
OWN_CLAIMS = (
    Claim(
        "A1",
        GROUP,
        "SMTP takes any sender's name: a forged message is delivered like a genuine one.",
        "Client address, MAIL and From of a message that is answered by 250, and INBOX by IMAP",
    ),
    Claim(
        "A2",
        GROUP,
        "With SPF, DKIM and DMARC the same forgery is refused, and the genuine message is delivered.",
        "SPF and DKIM evaluated anew from the message and the DNS responses; 550 and 250; INBOX by IMAP",
    ),
    Claim(
        "A3",
        GROUP,
        "A DKIM signature covers the content: with an altered body it no longer verifies.",
        "SHA-256 and RSA over the octets of both messages, with the key of the DNS response; 250 and 550",
    ),
    Claim(
        "A4",
        GROUP,
        "Forwarding breaks SPF but not DKIM.",
        "SPF for the forwarder's address, and the signature, of two forwarded messages; 250 and 550",
    ),
    Claim(
        "A5",
        GROUP,
        "The policy of the author's domain decides about a failure: none delivers, quarantine marks as junk, reject "
        "refuses.",
        "DMARC records in the DNS responses; reply codes; INBOX and Junk by IMAP",
    ),
    Claim(
        "A6",
        GROUP,
        "A check costs DNS lookups one after the other before the reply, and nothing once their answers are cached.",
        "Queries of the resolver between mail data and reply; measured time against theory",
    ),
)


def letter(sender: str, name: str) -> str:
    """Return a message from `sender`; `name`, in parentheses in the last line of the body, identifies the message."""
    text = f"{TEXT}({name})\n".replace("\n", "\r\n")
    return f"From: Alice <{sender}>\r\nTo: Bob <{BOB}>\r\nSubject: {SUBJECT}\r\n\r\n{text}"


def altered(content: bytes) -> str:
    """Return a copy of a message from Bob's mailbox with another body, whose DKIM signature is thus invalid."""
    wire = re.sub(rb"\r?\n", b"\r\n", content)
    while (found := ADDED.match(wire)) is not None:
        wire = wire[found.end() :]
    return wire.decode("ascii").replace(OLD_WORDS, NEW_WORDS).replace(f"({GENUINE})", f"({ALTERED})")


@dataclass
class Done:
    """Results of the workload, from which the claims are decided.

    checked_ns: time in ns of the restart with sender checks; first, later: time spans of checks with an empty and a
    filled cache; readings: time spans of Bob's IMAP sessions, keyed by session name; failures: error texts, keyed by
    the name of the failed action.
    """

    checked_ns: int = 0
    first: list[Window] = field(default_factory=list)
    later: Window | None = None
    readings: dict[str, Window] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def attempt(self, name: str, act: Callable[[], object]) -> None:
        """Perform an action of the workload, and record its error; the packets of a failed action remain evidence."""
        try:
            act()
        except EmulationError as error:
            self.failures[name] = str(error)


class Correspondence:
    """Actions of Alice, Bob, Mallory and their servers in a running network; the workload is a sequence of these."""

    def __init__(self, bed: Testbed) -> None:
        self._bed = bed
        self._alice, self._mallory = UserAgent(bed.host("alice")), UserAgent(bed.host("mallory"))
        self._reader = Reader(bed.host("bob"), RECEIVER_ADDRESS)
        self._inbox = mailbox(bed.host("mail-b"))
        self._arrived = 0

    def forge(self, sender: str, name: str) -> Window:
        """Send a message with a forged sender from Mallory's host; return the time span. Raises EmulationError."""
        return self._submit(sender, letter(sender, name))

    def alter(self) -> None:
        """Send Bob a copy of Alice's message with another body, from Mallory's host. Raises EmulationError."""
        found = [content for content in self._contents() if f"({GENUINE})".encode() in content]
        if not found:
            raise EmulationError("Bob has no message of Alice that could be altered")
        self._submit(ALICE, altered(found[0]))

    def first_forgery(self) -> Window:
        """Empty the cache of Bob's resolver, then send a message with Alice as forged sender; return the time span."""
        self._bed.restart("dns-b")
        return self.forge(ALICE, FORGED)

    def _submit(self, sender: str, content: str) -> Window:
        steps = [("say", "EHLO mallory.example.net"), ("say", f"MAIL FROM:<{sender}>"), ("say", f"RCPT TO:<{BOB}>")]
        return self._mallory.dialogue([*steps, ("say", "DATA"), ("data", content), ("say", "QUIT")])

    def write(self, name: str, to: str = BOB) -> None:
        """Send a genuine message from Alice through her own server. Raises EmulationError."""
        path = self._bed.host("alice").workdir / "message.eml"
        self._alice.compose(path, SUBJECT, f"{TEXT}({name})\n", to=to)
        self._alice.send([path])

    def wait(self, count: int = 1) -> None:
        """Wait until additional messages have arrived in Bob's INBOX. Raises EmulationError."""
        self._arrived += count
        wait_for_messages(self._inbox, self._arrived, PATIENCE_S)

    def wait_for_bounce(self) -> None:
        """Wait for a delivery status notification in Alice's mailbox. Raises EmulationError."""
        wait_for_messages(mailbox(self._bed.host("mail-a"), "example.org", "alice"), 1, PATIENCE_S)
        wait_until_quiet(self._bed.host("forward"), timeout_s=PATIENCE_S)

    def wait_for_junk(self) -> None:
        """Wait for a message in Bob's folder Junk. Raises EmulationError."""
        wait_for_messages(self._inbox.parent / f".{JUNK}" / "new", 1, PATIENCE_S)

    def read(self, folder: str) -> Window:
        """Read a folder of Bob's mailbox by IMAP, without changing the folder. Raises EmulationError."""
        steps: list[Sequence[object]] = [("login", "bob", PASSWORDS["bob"]), ("select", folder, True)]
        return self._reader.session("IMAP", [*steps, ("fetch", "1:*", "(BODY.PEEK[])"), ("logout",)])

    def restart(self, host: str, flags: str) -> None:
        """Restart a mail server with further command-line options. Raises EmulationError."""
        restart_mta(self._bed, host, flags)

    def _contents(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self._inbox.glob("*"))]


def run(context: Run) -> Outcome:
    """Run the workload, decide claims A1 to A6, and compare the time of the first sender check with theory."""
    rtt_s = context.parameters["rtt"]
    ways = {name: f"{share * rtt_s * 1e6:.0f}us" for name, share in LEGS.items()}
    topo = MailForgeryTopo(**ways, names=f"{NAMES_S * 1e6:.0f}us", bw=BW_MBIT, signs="no", checks="no")
    # The path from Mallory's host to Bob's server has Mallory's link and half of the delay between the servers.
    paths = [
        EmulatedPath("mail-a", "mail-b", RECEIVER_ADDRESS, rtt_s, BW_MBIT * 1e6),
        EmulatedPath("mallory", "mail-b", RECEIVER_ADDRESS, 2 * (LEGS["stranger"] + LEGS["between"] / 2) * rtt_s, None),
    ]
    with measured(context, make_testbed(context, topo), paths) as lab, lab.recording(CAPTURED):
        done = _work(context, Correspondence(lab.bed), lab.watch)
    context.step("judging the packets", 0.9)
    captured = lab.read_capture()
    checks, later, traffic = _checks(captured, done)
    verdict = authentication.decide_lookup_cost(traffic, checks, later)
    timings: list[Timing] = []
    comparisons: tuple[Comparison, ...] = ()
    if checks:
        theory = first_check(ZONES, 0, 2 * (LEGS["between"] / 2 * rtt_s + NAMES_S))
        timings = [lab.watch.timing(one.total_s, one.terms, one.message.data.last_ns, one.end_ns) for one in checks]
        comparison = Comparison.of(FIRST, timings, theory, clock.tolerance(TOLERANCE_OF_DIALOGUE))
        verdict = timed(verdict, comparison.measured_s, comparison.theory_s, comparison.tolerance)
        comparisons = (comparison,)
    return Outcome(
        claims=(*_verdicts(captured, done), verdict),
        comparisons=comparisons,
        fidelity=lab.fidelity(),
        implementations={"mta": "lab7.services.mail.mta"},
        timings={FIRST: timings},
        capture=lab.path.name,
    )


def _work(context: Run, mail: Correspondence, watch: MachineWatch) -> Done:
    done = Done()
    context.step("a forgery, and a server that checks nothing", 0.1)
    done.attempt(PLAIN, lambda: mail.forge(ALICE, PLAIN))
    done.attempt(PLAIN, mail.wait)
    done.attempt("reading", lambda: done.readings.update({PLAIN: mail.read("INBOX")}))
    context.step("the same forgery, and a server that checks", 0.25)
    mail.restart("mail-b", CHECKS)
    done.checked_ns = time.time_ns()
    for _ in range(context.repeat):
        done.attempt(FORGED, lambda: done.first.extend(watch.samples(mail.first_forgery)))
    done.attempt(FORGED, lambda: setattr(done, "later", mail.forge(ALICE, FORGED)))
    context.step("forwarding without a signature", 0.35)
    done.attempt(UNSIGNED, lambda: mail.write(UNSIGNED, FORWARDED))
    done.attempt(UNSIGNED, mail.wait_for_bounce)
    context.step("signed messages", 0.5)
    mail.restart("mail-a", SIGNS)
    for name, to in ((GENUINE, BOB), (SIGNED, FORWARDED)):
        done.attempt(name, lambda name=name, to=to: mail.write(name, to))  # type: ignore[misc]
        done.attempt(name, mail.wait)
    context.step("an altered message, and milder policies", 0.7)
    done.attempt(ALTERED, mail.alter)
    done.attempt(FROM_LISTS, lambda: mail.forge(f"alice@{LISTS}", FROM_LISTS))
    done.attempt(FROM_LISTS, mail.wait)
    done.attempt(FROM_NEWS, lambda: mail.forge(f"alice@{NEWS}", FROM_NEWS))
    done.attempt(FROM_NEWS, mail.wait_for_junk)
    for folder in ("INBOX", JUNK):
        done.attempt("reading", lambda folder=folder: done.readings.update({folder: mail.read(folder)}))  # type: ignore[misc]
    return done


def _verdicts(captured: CaptureFile, done: Done) -> tuple[Verdict, ...]:
    smtp = smtp_traffic(captured, AT_RECEIVER, [SMTP_PORT]).to(RECEIVER_ADDRESS)
    dns = dns_exchanges(captured, AT_RECEIVER)
    start, split, end = 0, done.checked_ns, 1 << 63
    plain = Scene(smtp.between(start, split), dns.between(start, split), _read(captured, done, PLAIN))
    inbox, junk = (_read(captured, done, folder) for folder in ("INBOX", JUNK))
    checked = Scene(smtp.between(split, end), dns.between(split, end), inbox, junk)
    verdicts = (
        authentication.decide_forgery_without_checks(plain, PLAIN, (SENDER_ADDRESS,)),
        authentication.decide_forgery_with_checks(checked, FORGED, GENUINE),
        authentication.decide_signature_of_content(checked, GENUINE, ALTERED),
        authentication.decide_forwarding(checked, SIGNED, UNSIGNED, FORWARD_ADDRESS),
        authentication.decide_policies(checked, (FROM_LISTS, FROM_NEWS, FORGED)),
    )
    needs = {"A1": [PLAIN], "A2": [FORGED, GENUINE], "A3": [GENUINE, ALTERED], "A4": [SIGNED, UNSIGNED]}
    needs["A5"] = [FROM_LISTS, FROM_NEWS, FORGED]
    return tuple(_with_failures(one, done, [*needs[one.id], "reading"]) for one in verdicts)


def _checks(captured: CaptureFile, done: Done) -> tuple[list[Check], Check | None, list[Traffic]]:
    """Return (sender checks with an empty cache, check with a filled cache or None, the captured traffic of both)."""
    smtp = smtp_traffic(captured, AT_RECEIVER, [SMTP_PORT]).to(RECEIVER_ADDRESS)
    dns, upstream = dns_exchanges(captured, AT_RECEIVER), dns_exchanges(captured, AT_RESOLVER)

    def check_in(window: Window) -> Check | None:
        # The time span ends when the client has the reply, thus after the server's whole check.
        span = window.start_ns, window.end_ns
        return authentication.check_of(Scene(smtp.between(*span), dns.between(*span)), upstream)

    first = [check for window in done.first if (check := check_in(window)) is not None]
    return first, check_in(done.later) if done.later is not None else None, [smtp, dns, upstream]


def _with_failures(verdict: Verdict, done: Done, steps: Sequence[str]) -> Verdict:
    """Return a verdict with the errors of failed actions in its evidence; a verdict `shown` is returned unchanged."""
    reasons = [f"{step}: {done.failures[step]}" for step in steps if step in done.failures]
    if verdict.verdict == "shown" or not reasons:
        return verdict
    return failed(verdict.id, f"{verdict.evidence} ({'; '.join(reasons)}.)", verdict.frames)


def _read(captured: CaptureFile, done: Done, name: str) -> tuple[bytes, ...]:
    """Return the messages that Bob's IMAP client fetched in the session of this name."""
    window = done.readings.get(name)
    if window is None:
        return ()
    found: list[bytes] = []
    for connection in connections(captured.at(AT_BOB)):
        if connection.server.port == IMAP_PORT and window.start_ns <= connection.syn.time_ns < window.end_ns:
            found += fetched_messages(imap.read_session(connection)).values()
    return tuple(found)


EXPERIMENT = Experiment(
    name="mail-forgery",
    question="What stops a forged sender, and what do SPF, DKIM and DMARC each contribute?",
    claims=tuple(claim.id for claim in OWN_CLAIMS),
    own_claims=OWN_CLAIMS,
    parameters={"rtt": Parameter("20ms", seconds, "the round-trip time between the two mail servers")},
    run=run,
    repeat=3,
)
