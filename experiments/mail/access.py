"""Experiment on mailbox access: time and octets of reading a mailbox by POP3, IMAP and webmail.

Bob's mailbox has many messages, one with a picture. He does three tasks by each of POP3, IMAP and webmail: he reads the
headers of all messages, one attachment, and everything. Each measured time is compared with theory, term by term (a
term is a part of the time, such as a round trip), and the number of octets transferred with the size of the requested
data. Then POP3 retrieves and deletes, and IMAP creates a folder, copies, flags, searches and fetches a part. Finally
Alice loads a picture by HTTP, and the servers transfer two messages, one in each direction: the packets show the side
that opens the connection and the side that sends the payload.

Claims of the course that are decided: POP3 keeps or deletes messages (M1), IMAP works on messages in the server's
mailbox (M2), webmail uses HTTP and SMTP (M3), HTTP pulls and SMTP pushes (M4).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from itertools import product
from random import Random
from typing import Any

from mininet.topo import Topo

from lab7.experiments.harness.driver import Driver
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.fidelity.certificate import MachineWatch
from lab7.experiments.harness.implementations.registry import (
    ACCESS_ROLE,
    DEFAULT_PORT,
    MTA_ROLE,
    SMTP_PORT,
    SUBMISSION_PORT,
)
from lab7.experiments.harness.judge.frames import CaptureFile, connections
from lab7.experiments.harness.judge.verdict import Verdict, undecided
from lab7.experiments.harness.measurement import Window, make_testbed, measured, site_folder
from lab7.experiments.harness.parameters import seconds, whole
from lab7.experiments.harness.report.line_plots import Panel, Series, plot_lines
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import Theory, tolerance_of_round_trips
from lab7.experiments.http.lab import response_sizes, write_picture
from lab7.experiments.http.wire.page_load import page_load
from lab7.experiments.mail.claims.imap import ImapCourse, MailboxTask, decide_imap
from lab7.experiments.mail.claims.pop3 import Pop3Course, decide_pop3
from lab7.experiments.mail.claims.push_pull import Pull, Push, decide_push_and_pull
from lab7.experiments.mail.claims.webmail import Screen, Webmail, decide_webmail
from lab7.experiments.mail.lab import (
    ALICE,
    AT_ALICE,
    AT_BOB,
    AT_RECEIVER,
    AT_SENDER,
    BOB,
    LEG_HOSTS,
    PASSWORDS,
    RECEIVER_ADDRESS,
    SENDER_ADDRESS,
    Legs,
)
from lab7.experiments.mail.mailbox_sessions import Sessions, Traffic
from lab7.experiments.mail.mailboxes import (
    Messages,
    Reader,
    fill,
    generate_messages,
    held,
    send,
    text,
    wait_for_count,
)
from lab7.experiments.mail.scripts.mailbox import (
    COUNT,
    DELETE,
    DROP,
    FOLDER,
    REFUSED,
    folder_steps,
    log_in_steps,
    looking_steps,
    reading_steps,
    rest_steps,
    webmail_steps,
    working_steps,
    writing_steps,
)
from lab7.experiments.mail.servers import MailHost, mail_host, names_of
from lab7.experiments.mail.theory.access import (
    PROTOCOLS,
    TASKS,
    WEBMAIL,
    mailbox_session,
    reading,
    webmail_session,
    with_window,
)
from lab7.experiments.mail.times import compared, left_out
from lab7.experiments.mail.wire.imap import imap_traffic
from lab7.experiments.mail.wire.pop3 import pop3_traffic
from lab7.experiments.mail.wire.smtp import smtp_traffic
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.mail import ADDRESSES, ALICE_ADDRESS, WEB

# Fixed path parameters: RTTs in s from Alice to her server and between the servers, and the rate in Mbit/s.
SENDER_S, BETWEEN_S, BW_MBIT = 0.02, 0.04, 10.0
PICTURE, PICTURE_BYTES = "ring.png", 12_000
VISITOR, BROWSER = "lab7.experiments.http.drivers.visitor", "lab7.experiments.mail.drivers.webmail"
WEBMAIL_MODULE = "lab7.services.mail.webmail"
WAYS = (*PROTOCOLS, WEBMAIL)
SERVERS = {"alice": "mail-a", "bob": "mail-b"}
PEOPLE, OTHER = {"alice": ALICE, "bob": BOB}, {"alice": "bob", "bob": "alice"}
NAMES_DELAY = "1ms"
BESIDE = 0.22
NOTE = (
    "x: 1 all headers, 2 one attachment, 3 all messages; points: measured sessions; lines: the requested "
    "octets, or the round trips that the formula counts"
)


def run(context: Run) -> Outcome:
    """Fill a mailbox, read it by POP3, IMAP and webmail, decide claims M1 to M4, and compare times with theory."""
    asked = context.parameters
    written = generate_messages(asked["messages"], asked["attachment"], context.seed)
    mails = {name: _mail(name, context.seed) for name in PASSWORDS}
    with site_folder(context) as site:
        write_picture(site / PICTURE, PICTURE_BYTES, context.seed)
        topo = _legs(context).topology(backup="no", names=NAMES_DELAY, root=str(site))
        servers = {user: mail_host(topo, host, context.replacements) for user, host in SERVERS.items()}
        network = _network(context, topo, servers, written)
        with measured(context, network, _legs(context).paths()) as lab, lab.recording(LEG_HOSTS):
            sessions = _work(context, lab.bed, servers, written, lab.watch)
            _pull_and_push(lab.bed, servers, mails, sessions)
            _by_webmail(lab.bed, servers, context.seed, sessions)
        picture = (site / PICTURE).read_bytes()
    context.step("judging the packets", 0.9)
    captured = lab.read_capture()
    at_bob = pop3_traffic(captured, AT_BOB), imap_traffic(captured, AT_BOB), page_load(captured, AT_BOB)
    traffic = Traffic(*at_bob, sessions)
    timings, comparisons = _compare_all(context, captured, topo, traffic, written, lab.watch)
    return Outcome(
        claims=(
            _m1(traffic, written),
            _m2(traffic, written),
            _m3(context, captured, sessions),
            _m4(captured, sessions, picture, mails),
        ),
        comparisons=tuple(comparisons),
        fidelity=lab.fidelity(),
        implementations=names_of(context.replacements),
        timings=timings,
        capture=lab.path.name,
        plot=plot_lines(_panels(context, traffic, comparisons, written), NOTE),
    )


def _legs(context: Run) -> Legs:
    return Legs(SENDER_S, BETWEEN_S, context.parameters["rtt"], BW_MBIT)


@contextmanager
def _network(context: Run, topo: Topo, servers: Mapping[str, MailHost], written: Messages) -> Iterator[Testbed]:
    """Start the emulated network with two mail servers, their webmail servers, and messages in Bob's mailbox."""
    starters = {SERVERS[user]: server.start for user, server in servers.items()}
    with make_testbed(context, topo, starters) as bed:
        for user, server in servers.items():
            _add_webmail(bed.host(SERVERS[user]), server.domain)
        fill(servers["bob"], "bob", written.contents)
        yield bed


def _add_webmail(host: Host, domain: str) -> None:
    """Start a webmail server on the host of a mail server; it gives access to the mailboxes of that mail server."""
    words = f"--accounts accounts --maildirs maildirs --domain {domain} --submission {host.IP()}:{SUBMISSION_PORT}"
    host.start(f"{WEBMAIL_MODULE} {words} --listen 0.0.0.0 --port {DEFAULT_PORT}", serves=True)


def _mail(sender: str, seed: int) -> bytes:
    """Return a message from `sender` (alice or bob) to the other user."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = PEOPLE[sender], PEOPLE[OTHER[sender]]
    message["Subject"] = f"from {sender}"
    message.set_content(text(Random(f"{sender} {seed}"), 20))
    return message.as_bytes()


def _work(
    context: Run, bed: Testbed, servers: Mapping[str, MailHost], written: Messages, watch: MachineWatch
) -> Sessions:
    """Run the sessions on Bob's mailbox: first the timed, read-only sessions, then sessions that change the mailbox."""
    done, reader, browser = Sessions(), Reader(bed.host("bob"), RECEIVER_ADDRESS), _browser(bed, servers, "bob")
    count, subject = len(written.contents), written.subject.decode()
    # Warm up all programs by read-only sessions, which are captured but not measured.
    done.attempt("warming up", lambda: reader.session("POP3", COUNT))
    done.attempt("warming up", lambda: reader.session("IMAP", looking_steps()))
    done.attempt("warming up", lambda: browser.request(log_in_steps("bob")))
    ways = [(protocol, task) for task in TASKS for protocol in WAYS]
    for number in range(context.repeat):
        for place, (protocol, task) in enumerate(ways):
            share = (number + place / len(ways)) / context.repeat
            context.step(f"{protocol}, {task}: {number + 1} of {context.repeat}", 0.1 + 0.6 * share)
            if protocol == WEBMAIL:
                session = partial(browser.request, webmail_steps(task, count, subject))
            else:
                session = partial(reader.session, protocol, reading_steps(protocol, task, count, subject))
            done.attempt_several(f"{protocol} {task}", partial(watch.samples, session))
    context.step("working on the mailbox", 0.72)
    for name, protocol, script in (
        ("works", "IMAP", working_steps(subject)),
        ("looks", "IMAP", looking_steps()),
        ("folder", "IMAP", folder_steps()),
        ("refused", "POP3", REFUSED),
        ("drops", "POP3", DROP),
        ("between", "POP3", COUNT),
        ("deletes", "POP3", DELETE),
        ("after", "POP3", rest_steps(count)),
    ):
        done.attempt(name, partial(reader.session, protocol, script))
    return done


def _pull_and_push(bed: Testbed, servers: Mapping[str, MailHost], mails: Mapping[str, bytes], done: Sessions) -> None:
    """Load a picture on Alice's host by HTTP (pull), and send one message in each direction by SMTP (push)."""
    alice = bed.host("alice")
    web = Driver(alice, [VISITOR, ADDRESSES[WEB], str(DEFAULT_PORT), WEB.rstrip(".")])
    done.attempt("pull", lambda: web.request({"visit": [f"/{PICTURE}"]}))
    for user, mail in mails.items():
        host, other = bed.host(user), servers[OTHER[user]]
        path, there = host.workdir / "message", held(other, OTHER[user])
        path.write_bytes(mail)
        done.attempt(f"push {user}", partial(send, host, servers[user], user, PEOPLE[OTHER[user]], path))
        done.attempt(f"push {user}", partial(wait_for_count, other, OTHER[user], there + 1))


def _browser(bed: Testbed, servers: Mapping[str, MailHost], user: str) -> Driver:
    """Return the driver of a scripted browser on a user's host, for the webmail of the user's server."""
    address = {"alice": SENDER_ADDRESS, "bob": RECEIVER_ADDRESS}[user]
    return Driver(bed.host(user), [BROWSER, address, str(DEFAULT_PORT), servers[user].hostname])


def _by_webmail(bed: Testbed, servers: Mapping[str, MailHost], seed: int, done: Sessions) -> None:
    """Send a message from Alice to Bob by webmail, and read it in Bob's webmail."""
    subject, there = "by webmail", held(servers["bob"], "bob")
    writes = writing_steps("alice", BOB, subject, _said(seed))
    done.attempt("writes", partial(_browser(bed, servers, "alice").request, writes))
    if "writes" not in done.failures:
        done.attempt("arrives", partial(wait_for_count, servers["bob"], "bob", there + 1))
        done.attempt(
            "reads", partial(_browser(bed, servers, "bob").request, [*log_in_steps("bob"), ("follow", subject)])
        )


def _token(seed: int) -> str:
    """Return a random word, reproducible by the run's seed, that identifies the webmail message in packets."""
    return f"{Random(f'token {seed}').getrandbits(64):016x}"


def _said(seed: int) -> str:
    """Return the text of Alice's webmail message; it contains the identifying word of _token()."""
    return f"It goes by {_token(seed)}, says Alice."


def _m3(context: Run, captured: CaptureFile, sessions: Sessions) -> Verdict:
    mta = context.replacements.get(MTA_ROLE)
    if mta is not None and not mta.own and "auth" not in mta.speaks:
        return undecided(
            "M3", f"Webmail must authenticate to submit messages, but {mta.name} accepts them by network address only."
        )
    screens = []
    for name, interface in (("writes", AT_ALICE), ("reads", AT_BOB)):
        window = sessions.first(name)
        every = [one for one in connections(captured.at(interface)) if _within(one.syn.time_ns, window)]
        screens.append(Screen(every, page_load(captured, interface).between(window.start_ns, window.end_ns)))
    between = smtp_traffic(captured, AT_SENDER, [SMTP_PORT]).to(RECEIVER_ADDRESS)
    token, said = _token(context.seed).encode(), _said(context.seed).encode()
    broken = sessions.broken("M3", "writes", "arrives", "reads")
    return broken or decide_webmail(
        Webmail(screens[0], between, screens[1], SENDER_ADDRESS, RECEIVER_ADDRESS, token, said)
    )


def _within(time_ns: int, window: Window) -> bool:
    return window.start_ns <= time_ns < window.end_ns


def _m1(traffic: Traffic, written: Messages) -> Verdict:
    names = ("refused", "POP3 everything", "drops", "between", "deletes", "after")
    course = Pop3Course(*(traffic.by_pop3(name) for name in names))
    return traffic.sessions.broken("M1", *names) or decide_pop3(course, written.contents)


def _m2(traffic: Traffic, written: Messages) -> Verdict:
    imap = {
        "everything": "IMAP everything",
        "works": "works",
        "looks": "looks",
        "folder": "folder",
        "headers": "IMAP headers",
        "attachment": "IMAP attachment",
    }
    pop3 = {"top": "POP3 headers", "download": "POP3 everything"}
    parts: dict[str, Any] = {part: traffic.by_imap(name) for part, name in imap.items()}
    parts |= {part: traffic.by_pop3(name) for part, name in pop3.items()}
    broken = traffic.sessions.broken("M2", *imap.values(), *pop3.values())
    return broken or decide_imap(
        ImapCourse(**parts), written.contents, MailboxTask(written.subject, FOLDER, written.attachment)
    )


def _m4(captured: CaptureFile, sessions: Sessions, picture: bytes, mails: Mapping[str, bytes]) -> Verdict:
    window = sessions.first("pull")
    load = page_load(captured, AT_ALICE).between(window.start_ns, window.end_ns)
    there = smtp_traffic(captured, AT_SENDER, [SMTP_PORT]).to(RECEIVER_ADDRESS)
    back = smtp_traffic(captured, AT_RECEIVER, [SMTP_PORT]).to(SENDER_ADDRESS)
    pushes = [
        Push(there, mails["alice"], SENDER_ADDRESS, RECEIVER_ADDRESS),
        Push(back, mails["bob"], RECEIVER_ADDRESS, SENDER_ADDRESS),
    ]
    broken = sessions.broken("M4", "pull", "push alice", "push bob")
    return broken or decide_push_and_pull([Pull(load, picture, ALICE_ADDRESS)], pushes)


def _compare_all(
    context: Run, captured: CaptureFile, topo: Topo, traffic: Traffic, written: Messages, watch: MachineWatch
) -> tuple[dict[str, list[Timing]], list[Comparison]]:
    """Return (measured durations, comparisons with theory) of the reading sessions on the mailbox.

    The durations are keyed by protocol and task, such as `IMAP headers`. There is one comparison for each of these
    keys.
    """
    rtt_s, theories, samples = context.parameters["rtt"], {}, []
    for task, protocol in product(TASKS, WAYS):
        name = f"{protocol} {task}"
        windows = traffic.sessions.windows.get(name, [])
        if found := [one for window in windows for one in traffic.timed(protocol, window)]:
            theories[name] = _theory(protocol, task, traffic, written, rtt_s)
            samples += [(name, one) for one in found]
    by_name: dict[str, list[tuple[Timing, Theory]]] = {}
    waiting = context.waiting(dict.fromkeys((MTA_ROLE, ACCESS_ROLE), SERVERS["bob"]))
    left = left_out(captured, topo, [one for _, one in samples], waiting)
    for (name, timed), omitted in zip(samples, left, strict=True):
        theory = theories[name] if omitted is None else with_window(theories[name], omitted)
        timing = watch.with_disturbance(timed.timing, timed.first_ns, timed.last_ns)
        by_name.setdefault(name, []).append((timing, theory))
    timings = {name: [timing for timing, _ in some] for name, some in by_name.items()}
    return timings, [compared(name, some, tolerance_of_round_trips(rtt_s)) for name, some in by_name.items()]


def _theory(protocol: str, task: str, traffic: Traffic, written: Messages, rtt_s: float) -> Theory:
    if protocol == WEBMAIL:
        answers = response_sizes(traffic.by_http(f"{protocol} {task}"))
        return webmail_session(task, len(written.contents), answers, rtt_s)
    return mailbox_session(reading(protocol, task, written.headers, written.sizes, written.attached), rtt_s)


def _panels(context: Run, traffic: Traffic, comparisons: Sequence[Comparison], written: Messages) -> list[Panel]:
    """Return the plot's two panels: octets, and time in round trips, of each reading task by each protocol."""
    rtt_s, by_name = context.parameters["rtt"], {one.name: one for one in comparisons}
    wanted = [sum(written.headers), written.attached, sum(written.sizes)]
    octets, trips = [], []
    for number, protocol in enumerate(WAYS):
        # Shift each protocol's points horizontally, so that points of one task do not cover each other.
        tasks = [(place + (number - 1) * BESIDE, task) for place, task in enumerate(TASKS, start=1)]
        mine = [(x, f"{protocol} {task}") for x, task in tasks if f"{protocol} {task}" in by_name]
        moved = [(x, traffic.octets(protocol, name) / 1000) for x, name in mine]
        octets.append(
            Series(protocol, moved, _marks((x, each / 1000) for (x, _), each in zip(tasks, wanted, strict=True)))
        )
        measured = [(x, by_name[name].measured_s / rtt_s) for x, name in mine]
        trips.append(Series(protocol, measured, _marks((x, by_name[name].theory_s / rtt_s) for x, name in mine)))
    return [Panel("octets", "task", "kilobytes moved", octets), Panel("time", "task", "round trips", trips)]


def _marks(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the coordinates of a plot line that draws a short horizontal dash at each point (NaN ends a dash)."""
    return [each for x, y in points for each in ((x - BESIDE / 2, y), (x + BESIDE / 2, y), (math.nan, math.nan))]


EXPERIMENT = Experiment(
    name="mail-access",
    question="What does each way of mailbox access (POP3, IMAP, webmail) cost?",
    claims=("M1", "M2", "M3", "M4"),
    parameters={
        "rtt": Parameter("40ms", seconds, "the round-trip time between Bob and his server"),
        "messages": Parameter("50", whole(10, 1000), "the number of messages in the mailbox", full="200"),
        "attachment": Parameter("60000", whole(1000, 1_000_000), "the size of the attached picture in octets"),
    },
    run=run,
    repeat=1,
    roles=(MTA_ROLE, ACCESS_ROLE),
)
