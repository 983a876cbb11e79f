"""The judge of outages: S5 with captures that show it, and with a message lost, doubled, or never tried again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lab7.experiments.harness.clock import VARIABLE
from lab7.experiments.harness.experiment import Run
from lab7.experiments.harness.fidelity.disturbance import RETAKES, Disturbance
from lab7.experiments.harness.pathmodel.replay import OmittedTerms
from lab7.experiments.harness.results.result import Timing
from lab7.experiments.harness.theory.tcp import Theory
from lab7.experiments.mail import outage
from lab7.experiments.mail.claims.outage import Episode, Outage, attempts, decide_outage, during, resumption
from lab7.experiments.mail.outage import EXPERIMENT, OutageEvidence, Seen, run
from lab7.experiments.mail.theory.outage import completed, recovery, spacing
from lab7.experiments.mail.wire.attempts import RetryPolicy, attempts_by_time
from lab7.experiments.mail.wire.imap import ImapTraffic
from lab7.experiments.mail.wire.smtp import SmtpTraffic
from lab7.topologies.emulation.errors import EmulationError
from tests.core.experiments.harness.verdicts import said
from tests.core.experiments.harness.wire import MS, START_NS, Tcp, Wire
from tests.core.experiments.mail.mailbox_wire import ImapWire
from tests.core.experiments.mail.smtp_wire import ALICE, RECEIVER, SENDER, SmtpWire

HEADER = b"From: alice@example.org\r\nTo: bob@example.com\r\nSubject: x\r\n\r\n"
BODIES = [b"first 11\r\nline\r\n", b"second 22\r\nline\r\n"]
MESSAGES = [HEADER + body for body in BODIES]
REPORT = (
    b"From: <>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n"
    b"--x\r\n\r\nIt failed.\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n\r\n"
    b"Final-Recipient: rfc822; bob@example.com\r\nAction: failed\r\nStatus: 4.4.1\r\n\r\n"
    b"--x\r\nContent-Type: message/rfc822\r\n\r\n%s\r\n--x--\r\n"
)
LOST_MS, BACK_MS = 1000.0, 4500.0


def at_ns(ms: float) -> int:
    return START_NS + round(ms * MS)


@dataclass
class Course:
    """An outage packet by packet: what is handed in, attempts, transfers, what the mailbox has in the end."""

    attempts_ms: tuple[float, ...] = (1500.0, 2600.0, 3700.0)
    answers: str = "RST"
    resumes_ms: float = 4800.0
    transfers: tuple[bytes, ...] = tuple(MESSAGES)
    reply: int = 250
    held: tuple[bytes, ...] = tuple(MESSAGES)
    kills_ms: tuple[float, ...] = ()
    back_ms: float | None = BACK_MS
    bound_s: float = 1.5
    composed: tuple[bytes, ...] = ()
    ports: list[int] = field(default_factory=lambda: list(range(50000, 50100)))

    def submitted(self) -> SmtpWire:
        wire = SmtpWire(client=ALICE, server=SENDER, server_port=587, rtt_ms=1)
        wire.wire.now_ms = LOST_MS + 10
        wire.begin().hello()
        for message in MESSAGES:
            wire.message(message)
        return wire.quit()

    def leaving(self) -> SmtpWire:
        wire = Wire()
        for ms in self.attempts_ms:
            wire.now_ms = ms
            self._refused(wire)
        session = SmtpWire(wire, port=self.ports.pop(), client=SENDER, server=RECEIVER)
        if not self.transfers:
            return session
        wire.now_ms = self.resumes_ms
        session.begin().hello()
        for message in self.transfers:
            session.message(message, self.reply)
        return session.quit()

    def _refused(self, wire: Wire) -> None:
        tcp = Tcp(
            wire,
            port=self.ports.pop(),
            server_port=25,
            client_address=SENDER,
            server_address=RECEIVER,
            isn=self.ports.pop(),
        )
        tcp.client("S")
        if self.answers == "RST":
            wire.after(40)
            tcp.server("RA")

    def episode(self, folder: Path) -> Episode:
        mailbox = ImapWire().log_in(len(self.held)).fetch("BODY[]", *self.held).quit()
        leaving = self.leaving().traffic(folder / "leaving")
        back_ns = None if self.back_ms is None else at_ns(self.back_ms)
        kills = tuple((at_ns(ms), at_ns(ms + 100)) for ms in self.kills_ms)
        return Episode(
            Outage("It is lost", RECEIVER, at_ns(LOST_MS), back_ns, kills, self.bound_s),
            self.submitted().traffic(folder / "submitted"),
            leaving,
            leaving if self.transfers else None,
            mailbox.traffic(folder / "mailbox"),
            self.composed,
        )


def test_s5_is_shown_by_attempts_a_return_and_a_whole_mailbox(tmp_path: Path) -> None:
    verdict = said(
        decide_outage([Course().episode(tmp_path)]),
        "shown",
        "all 2 messages are in the mailbox",
        "and 3 delivery attempts fail (the first by RST",
        "0.30 s",
    )
    assert "all 2 messages are in the mailbox" in verdict.evidence
    assert len(verdict.frames) == 3


def test_s5_is_shown_where_nobody_answers_and_where_the_server_is_killed(tmp_path: Path) -> None:
    episode = Course(answers="nothing", kills_ms=(2000.0,)).episode(tmp_path)
    said(decide_outage([episode]), "shown", "no answer", "the sender's server is killed with 2 messages in its queue")


def test_a_duplicate_is_counted_where_the_sender_could_not_know(tmp_path: Path) -> None:
    # The reply to the first transfer comes 360 ms behind its SYN; the server is killed right behind it.
    twice = Course(transfers=(MESSAGES[0], *MESSAGES), held=(MESSAGES[0], *MESSAGES), kills_ms=(2000.0, 5200.0))
    said(
        decide_outage([twice.episode(tmp_path)]),
        "shown",
        "except 1 duplicates",
        "the sender's server was killed before it could record the reply",
    )


@pytest.mark.parametrize(
    ("course", "part"),
    [
        (Course(held=(MESSAGES[0],)), "the first of them was accepted in frame 21"),
        (Course(transfers=(MESSAGES[0],), held=(MESSAGES[0],)), "are not in the mailbox (0 of them"),
        (Course(held=(*MESSAGES, MESSAGES[0])), "The mailbox has 2 copies of a message that was sent 1 times"),
        (
            Course(transfers=(*MESSAGES, MESSAGES[0]), held=(*MESSAGES, MESSAGES[0])),
            "of which 0 may have had an unknown outcome for the sender",
        ),
        (Course(attempts_ms=(1500.0,)), "the sender's server makes 1 attempts during the outage"),
        (Course(attempts_ms=(1500.0, 1620.0)), "the sender's server makes 2 attempts during the outage"),
        (
            Course(resumes_ms=6500.0),
            "the first attempt after the outage (frame 7) follows 2.00 s after its end; 1.5 s are allowed",
        ),
        (
            Course(transfers=(), held=()),
            "2 of 2 accepted messages are not in the mailbox (0 of them were accepted by the receiving server)",
        ),
        (Course(composed=(*MESSAGES, HEADER + b"third\r\n")), "1 of 3 messages were not submitted and accepted"),
        (
            Course(held=(MESSAGES[0].replace(b"Subject: x", b"Subject: y"), MESSAGES[1])),
            "was altered: the field 'Subject: x' is missing or moved",
        ),
        # They came by a way that nobody saw.
        (Course(transfers=()), "no attempt succeeded after the end of the outage"),
    ],
)
def test_s5_fails_where_packets_contradict_it(tmp_path: Path, course: Course, part: str) -> None:
    said(decide_outage([course.episode(tmp_path)]), "failed", part)


def test_s5_is_undecided_where_the_fault_was_none(tmp_path: Path) -> None:
    said(
        decide_outage([Course(resumes_ms=4300.0).episode(tmp_path / "a")]),
        "undecided",
        "The receiving server answers in frame",
    )
    early = Course(kills_ms=(1005.0,)).episode(tmp_path / "b")
    said(decide_outage([early]), "undecided", "the queue was empty when the sender's server was killed")
    short = Course(attempts_ms=(1500.0,), bound_s=2.0).episode(tmp_path / "c")
    said(decide_outage([short]), "undecided", "too short for a second attempt")
    said(decide_outage([]), "undecided")


def test_a_syn_that_is_answered_behind_the_return_is_an_attempt(tmp_path: Path) -> None:
    episode = Course(resumes_ms=4480.0).episode(tmp_path)
    assert [one.how for one in attempts(episode)] == ["RST", "RST", "RST", "answered"]
    said(
        decide_outage([episode]),
        "shown",
        "The first attempt that succeeds follows 0.00 s after the end of the outage (frame 7",
    )


def given_up(*reports: bytes, attempts_ms: tuple[float, ...] = (1500.0, 2600.0)) -> Course:
    return Course(attempts_ms, transfers=(), held=reports, back_ms=None)


def test_what_is_given_up_must_come_back(tmp_path: Path) -> None:
    ended = Course().episode(tmp_path / "ended")
    both = given_up(*(REPORT % body for body in BODIES)).episode(tmp_path / "both")
    said(decide_outage([ended], [both]), "shown", "after 2 failed attempts")
    one = given_up(REPORT % BODIES[0]).episode(tmp_path / "one")
    said(decide_outage([ended], [one]), "failed", "1 of 2 messages are neither delivered nor reported as undeliverable")
    others = (REPORT.replace(b"rfc822; bob@", b"rfc822; carol@") % body for body in BODIES)
    wrong = given_up(*others).episode(tmp_path / "wrong")
    said(
        decide_outage([ended], [wrong]), "failed", "2 of 2 messages are neither delivered nor reported as undeliverable"
    )
    plain = given_up(*MESSAGES).episode(tmp_path / "plain")
    said(
        decide_outage([ended], [plain]), "failed", "2 of 2 messages are neither delivered nor reported as undeliverable"
    )
    once = given_up(*(REPORT % body for body in BODIES), attempts_ms=(1500.0,)).episode(tmp_path / "once")
    said(decide_outage([ended], [once]), "failed", "gives up after 1 attempts without a retry interval")


def test_the_way_from_the_last_failure_to_the_first_message(tmp_path: Path) -> None:
    found = resumption(Course().episode(tmp_path))
    assert found is not None
    assert [one.how for one in during(Course().episode(tmp_path / "again"))] == ["RST"] * 3
    times = [found.failed.began_ns, found.failed.failed_ns, found.first.began_ns]
    assert times == [at_ns(3700), at_ns(3740), at_ns(4800)]
    # A round trip for the SYN, four for greeting, EHLO, MAIL, RCPT and DATA one at a time, one for the data.
    assert [round((ns - found.first.began_ns) / MS) for ns in (found.answered_ns, found.asked_ns, found.taken_ns)] == [
        40,
        240,
        280,
    ]
    assert resumption(given_up().episode(tmp_path / "never")) is None


def test_theory_counts_the_wait_and_six_round_trips() -> None:
    refused, silent = recovery(True, 0.1, 2.0, 1.0), recovery(False, 0.1, 2.0, 1.0)
    assert refused.total_s == pytest.approx(2.6)
    assert silent.total_s == pytest.approx(3.5)
    assert sum(refused.terms.values()) == pytest.approx(refused.total_s)
    assert (refused.terms["wait"], silent.terms["wait"]) == (2.0, 3.0)


def test_frames_have_a_term_of_their_own() -> None:
    refused = completed(recovery(True, 0.1, 2.0, 1.0), True, 1e6, OmittedTerms(0.0, 0.002, 9.0, 0.003))
    assert refused.formula == "6 RTT + wait"
    # A SYN of 74 octets and a RST of 54 at 1 Mbit/s, and what the answered connection's frames take.
    assert refused.terms["framing"] == pytest.approx(0.003 + 128 * 8e-6)
    assert refused.total_s == pytest.approx(2.6 + 0.002 + 0.003 + 128 * 8e-6)
    silent = completed(recovery(False, 0.1, 2.0, 1.0), False, 1e6, None)
    assert silent.total_s == pytest.approx(3.5)
    assert spacing(0.1, 1800).total_s == pytest.approx(1800.1)


def kept(folder: Path, *attempts_ms: float) -> Episode:
    reports = (REPORT % body for body in BODIES)
    episode = given_up(*reports, attempts_ms=attempts_ms).episode(folder)
    # Instead of half an hour, twice that, and four days.
    return replace(episode, outage=replace(episode.outage, keeping=RetryPolicy(2, 4, 9)))


def test_a_queue_keeps_to_its_intervals(tmp_path: Path) -> None:
    every = (1500.0, 3540.0, 3600.0, 5580.0, 7620.0, 10_500.0)
    said(
        decide_outage([], [kept(tmp_path / "a", *every)]),
        "shown",
        "after 6 failed attempts",
        "and each at least 0.0 minutes after the one before, for 0.00 days",
    )
    assert [one.began_ns for one in attempts_by_time(during(kept(tmp_path / "b", *every)))] == [
        at_ns(ms) for ms in (1500, 3540, 5580, 7620, 10_500)
    ]
    early = (1500.0, 2900.0, 10_500.0)
    said(
        decide_outage([], [kept(tmp_path / "c", *early)]), "failed", "the retry follows after 1 s; 2 to 4 s are allowed"
    )
    rare = (1500.0, 10_500.0)
    said(
        decide_outage([], [kept(tmp_path / "d", *rare)]), "failed", "the retry follows after 9 s; 2 to 4 s are allowed"
    )
    short = (1500.0, 3540.0, 5580.0)
    said(
        decide_outage([], [kept(tmp_path / "e", *short)]),
        "failed",
        "4 s after the first one",
        "must retry for at least 9 s",
    )


def test_five_days_are_for_virtual_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert "days" not in EXPERIMENT.read_parameters({})["case"]
    parameters = EXPERIMENT.read_parameters({}, full=True)
    with pytest.raises(EmulationError, match=r"lasts five days: run it with --time virtual$"):
        run(Run(parameters, 1, 1, "auto", True, tmp_path, lambda _what, _share: None))


def outage_of(wait_s: float) -> Seen:
    """An outage whose sample the machine made wait for so long."""
    theory = Theory(1.0, {"wait": 1.0}, "wait", "")
    timing = Timing(1.0 + wait_s, {"wait": 1.0 + wait_s}, Disturbance(waiting_s=wait_s))
    nothing = Outage("", RECEIVER, 0, 0, (), 1.0)
    silent = SmtpTraffic(())
    episode = Episode(nothing, silent, silent, None, ImapTraffic(()), ())
    return Seen(episode, "", [(timing, theory)])


@pytest.mark.parametrize(("waits_s", "taken"), [((0.05,), 1), ((0.5, 0.05), 2), ((0.5,) * 9, RETAKES + 1)])
def test_an_outage_that_the_machine_disturbed_is_had_again_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch, waits_s: tuple[float, ...], taken: int
) -> None:
    outages, names = [outage_of(each) for each in waits_s], []

    def seen(_context: Run, _case: str, name: str, _evidence: OutageEvidence) -> Seen:
        names.append(name)
        return outages[len(names) - 1]

    monkeypatch.setattr(outage, "_seen", seen)
    run_of = Run({}, 1, 1, "auto", True, Path(), lambda _what, _share: None)
    assert outage._outages(run_of, "link", OutageEvidence()) == outages[:taken]
    assert names[:2] == ["capture-link.pcapng", "capture-link-2.pcapng"][:taken]
    assert len(set(names)) == taken
