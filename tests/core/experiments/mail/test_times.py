"""S3, a message's time divided into its terms, and theory that counts the same round trips."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lab7.experiments.harness.clock import VARIABLE
from lab7.experiments.harness.judge.verdict import Contradiction
from lab7.experiments.harness.pathmodel.replay import OmittedTerms
from lab7.experiments.harness.results.result import Timing
from lab7.experiments.harness.theory.tcp import Theory
from lab7.experiments.mail.claims.story import TICK_NS, HostTimes, decide_delivery_steps, message_path
from lab7.experiments.mail.claims.transfer import MailLegs
from lab7.experiments.mail.theory.transfer import (
    Leg,
    completed,
    connecting,
    lookup_s,
    reading,
    smtp_connection,
    submission,
    transfer,
)
from lab7.experiments.mail.times import WAYS, Lookups, Way, compared, step_timings, way_timing
from lab7.experiments.mail.wire.smtp_timing import MAIL_TERMS, divide, line_intervals, smtp_intervals
from tests.core.experiments.harness.verdicts import said
from tests.core.experiments.harness.wire import MS, START_NS
from tests.core.experiments.mail.smtp_wire import PLAIN, RTT_MS, SmtpWire, another, stuffed, whole
from tests.core.experiments.mail.smtp_wire import Way as Legs

RTT_S = RTT_MS / 1e3
FAST = Leg(RTT_S, 1e12)
MAIL, RCPT = ("MAIL FROM:<a@x>", 250), ("RCPT TO:<b@x>", 250)


def inside(composed_ms: float = -10, filed_ms: float = 1350) -> HostTimes:
    return HostTimes(START_NS - 20 * MS, START_NS + round(composed_ms * MS), START_NS + round(filed_ms * MS))


def test_the_steps_follow_each_other(tmp_path: Path) -> None:
    verdict = said(
        decide_delivery_steps(Legs().legs(tmp_path), inside()), "shown", "1 compose 10 ms, 2 queue", "6 read"
    )
    # Connect: SYN and greeting.
    assert f"3 connect {2 * RTT_MS:.0f} ms, 4 transfer {5 * RTT_MS:.0f} ms" in verdict.evidence


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (inside(composed_ms=5), "The agent connects 5.0 ms before the message is composed"),
        (inside(filed_ms=900), "The message is in the mailbox"),
        (inside(filed_ms=3500), "The receiver's agent connects"),
    ],
)
def test_s3_wants_each_step_behind_the_one_before(tmp_path: Path, known: HostTimes, why: str) -> None:
    said(decide_delivery_steps(Legs().legs(tmp_path), known), "failed", why)


def test_s3_wants_the_message_before_the_connection(tmp_path: Path) -> None:
    said(
        decide_delivery_steps(Legs(relay_begins_ms=100).legs(tmp_path), inside()),
        "failed",
        "The sender's server connects",
    )


def test_s3_wants_the_message_on_its_way(tmp_path: Path) -> None:
    other = PLAIN.replace(b"hidden", b"changed")
    said(
        decide_delivery_steps(Legs(relayed=other).legs(tmp_path / "a"), inside()),
        "failed",
        "The message is not relayed to the receiving server",
    )
    said(
        decide_delivery_steps(Legs(read=other).legs(tmp_path / "b"), inside()),
        "failed",
        "The message is not retrieved by the receiver's agent",
    )
    legs = Legs().legs(tmp_path / "c")
    blind = replace(legs.at_receiver, sessions=whole(b"a: b\r\n\r\nother\r\n").traffic(tmp_path / "d").sessions)
    said(
        decide_delivery_steps(replace(legs, at_receiver=blind), inside()),
        "failed",
        "The message is missing in the capture at a server's interface",
    )
    assert decide_delivery_steps(Legs().legs(tmp_path / "e", dropped=1), inside()).verdict == "undecided"


def test_the_file_systems_tick_is_no_contradiction(tmp_path: Path) -> None:
    legs = Legs().legs(tmp_path)
    arrived = legs.at_receiver.messages[0].data.last_ns
    known = HostTimes(START_NS - 20 * MS, START_NS - 10 * MS, arrived - TICK_NS // 2)
    said(decide_delivery_steps(legs, known), "shown", "5 mailbox 0 ms")


def test_a_story_without_a_message_is_none(tmp_path: Path) -> None:
    legs = Legs().legs(tmp_path)
    with pytest.raises(Contradiction, match="No message is submitted"):
        message_path(replace(legs, at_alice=SmtpWire().begin().quit().traffic(tmp_path / "none")))


def session_of(way: Way, count: int) -> SmtpWire:
    """The letters of one way: what goes in which segment."""
    one = SmtpWire().begin().hello()
    for number in range(count):
        if number and not way.together:
            one = another(one, number).begin().hello()
        if way.pipelining:
            one.group(MAIL, RCPT, ("DATA", 354)).data(stuffed(PLAIN))
        else:
            one.message()
        if not way.together or number == count - 1:
            one.quit().wire.after(-10)
    return one


def relay(folder: Path, way: Way, count: int) -> MailLegs:
    one = session_of(way, count)
    legs = Legs().legs(folder / "legs")
    seen = one.traffic(folder / "seen")
    return replace(legs, at_sender=seen, at_receiver=seen)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_connections_take_the_round_trips_that_theory_counts(tmp_path: Path, way: Way, count: int) -> None:
    found = way_timing(relay(tmp_path, way, count), Lookups((), (), ())).timing
    theory = smtp_connection(FAST, [len(stuffed(PLAIN))] * count, way.pipelining, way.together)
    assert found.total_s == pytest.approx(theory.total_s, abs=1e-3)
    for term in MAIL_TERMS:
        assert found.terms[term] == pytest.approx(theory.terms[term], abs=1e-3), term
    trips = 4 + (2 if way.pipelining else 4) * count if way.together else (6 if way.pipelining else 8) * count
    assert theory.total_s == pytest.approx(trips * RTT_S, abs=1e-5)


def test_the_formulas_are_written_as_they_are_counted() -> None:
    formulas = {way.name: smtp_connection(FAST, [100], way.pipelining, way.together).formula for way in WAYS}
    assert formulas == {
        "pipelined, together": "(4 + 2n) RTT + X",
        "pipelined, apart": "6n RTT + X",
        "one by one, together": "(4 + 4n) RTT + X",
        "one by one, apart": "8n RTT + X",
    }
    with pytest.raises(ValueError, match="at least one message"):
        smtp_connection(FAST, [], pipelining=True)


def test_a_connection_that_has_no_end_has_no_duration(tmp_path: Path) -> None:
    legs = Legs().legs(tmp_path / "legs")
    seen = SmtpWire().begin().hello().message().traffic(tmp_path / "seen")
    with pytest.raises(ValueError, match="was not closed"):
        way_timing(replace(legs, at_sender=seen), Lookups((), (), ()))


def test_each_step_takes_its_round_trips(tmp_path: Path) -> None:
    legs = Legs().legs(tmp_path)
    found = {name: one.timing for name, one in step_timings(message_path(legs), legs, Lookups((), (), ()), 0).items()}
    assert found["queue"].total_s == pytest.approx(submission(FAST, 100, 0.0).total_s, abs=1e-3)
    assert found["connect"].total_s == pytest.approx(connecting(FAST, 0.0).total_s, abs=1e-3)
    assert found["transfer"].total_s == pytest.approx(transfer(FAST, 100, pipelining=False).total_s, abs=1e-3)
    # Its reader is greeted at once: SYN, USER, PASS and RETR.
    assert found["read"].total_s == pytest.approx(4 * RTT_S, abs=1e-3)
    for timing in found.values():
        assert sum(timing.terms.values()) == pytest.approx(timing.total_s)


def test_mail_data_that_take_their_time_are_transmission(tmp_path: Path) -> None:
    one = SmtpWire().begin().hello().message(PLAIN + b"x" * 70 + b"\r\n" + b"y\r\n" * 900, piece=500).quit()
    (session,) = one.traffic(tmp_path).sessions
    parts = divide(
        smtp_intervals([session], one.traffic(tmp_path)), session.connection.syn.time_ns, session.replies[-1].last_ns
    )
    pieces = len(stuffed(session.messages[0].content)) // 500
    assert parts.terms["transmission"] == pytest.approx(pieces * 0.001, abs=1e-5)
    assert parts.terms["dialogue"] == pytest.approx(7 * RTT_S, abs=1e-5)
    assert parts.terms["residual"] == pytest.approx(0, abs=1e-5)


def test_theory_names_what_is_waited_for() -> None:
    slow = Leg(0.1, 1e6)
    for theory in (submission(slow, 9000, 0.3), connecting(slow, 0.3), transfer(slow, 9000), reading(slow, 9000, 0.1)):
        assert sum(theory.terms.values()) == pytest.approx(theory.total_s)
        assert set(theory.terms) == set(MAIL_TERMS)
    assert submission(slow, 9000, 0.3).terms["dns"] == 0.3
    assert connecting(FAST, 0.3).total_s == pytest.approx(0.3 + 2 * RTT_S)
    assert transfer(FAST, 100).total_s == pytest.approx(3 * RTT_S, abs=1e-5)
    assert reading(FAST, 100, 0.0).total_s == pytest.approx(5 * RTT_S, abs=1e-5)
    assert transfer(slow, 9000).terms["transmission"] == pytest.approx(
        10 * transfer(Leg(0.1, 1e7), 9000).terms["transmission"]
    )


def test_lookups_are_counted_by_the_servers_that_have_to_be_asked() -> None:
    assert lookup_s([3, 1, 1], 0.08) == pytest.approx(5 * 0.08)
    assert lookup_s([3], 0.08, 0.02) == pytest.approx(0.26)
    assert lookup_s([0, 0], 0.08, 0.02) == pytest.approx(0.04)


def test_a_window_that_has_grown_stays_grown_for_the_next_message() -> None:
    leg, size = Leg(0.1, 1e7), 40_000
    alone = smtp_connection(leg, [size], pipelining=True).terms["transmission"]
    two = smtp_connection(leg, [size, size], pipelining=True).terms["transmission"]
    each = smtp_connection(leg, [size, size], pipelining=True, together=False).terms["transmission"]
    assert each == pytest.approx(2 * alone)
    assert two < each


def test_a_reader_waits_for_the_greeting_and_each_answer(tmp_path: Path) -> None:
    legs = Legs().legs(tmp_path)
    (reader,) = legs.reading
    found = {one.term for one in line_intervals(reader)}
    assert found == {"tcp_handshake", "dialogue", "transmission"}


def test_the_terms_of_each_sample_add_up_to_it_exactly(tmp_path: Path) -> None:
    legs = Legs().legs(tmp_path / "steps")
    some = list(step_timings(message_path(legs), legs, Lookups((), (), ()), 0).values())
    some += [way_timing(relay(tmp_path / way.name, way, 2), Lookups((), (), ())) for way in WAYS]
    for one in some:
        assert sum(round(value_s * 1e9) for value_s in one.timing.terms.values()) == one.last_ns - one.first_ns
        assert round(one.timing.total_s * 1e9) == one.last_ns - one.first_ns


SLOW = Leg(RTT_S, 1e6, 60)
FORM = partial(transfer, size_bytes=40_000)


def counted_s() -> tuple[float, float]:
    """What the form itself counts of slow start, and of frames."""
    full_window, trips = replace(SLOW, slow_start=False), replace(SLOW, slow_start=False, rate_bps=None)
    return FORM(SLOW).total_s - FORM(full_window).total_s, FORM(full_window).total_s - FORM(trips).total_s


def test_what_the_form_counts_is_not_counted_again() -> None:
    stalls_s, frames_s = counted_s()
    theory = completed(FORM, SLOW, OmittedTerms(stalls_s, 0.0, 9.0, frames_s))
    assert theory == FORM(SLOW)


def test_what_the_form_leaves_out_has_terms_of_its_own() -> None:
    stalls_s, frames_s = counted_s()
    theory = completed(FORM, SLOW, OmittedTerms(stalls_s + 0.003, 0.002, 9.0, frames_s - 0.001))
    assert theory.formula == FORM(SLOW).formula
    added = {name: value_s for name, value_s in theory.terms.items() if name not in FORM(SLOW).terms}
    assert added == pytest.approx({"window": 0.003, "acknowledgements": 0.002, "framing": -0.001})
    assert theory.total_s == pytest.approx(FORM(SLOW).total_s + 0.004)


def test_theory_is_not_fitted_to_round_trips_that_a_server_wastes() -> None:
    # They are in the model's ideal time, and in no term.
    seen = [completed(FORM, SLOW, OmittedTerms(0.0, 0.0, ideal_s, 0.1)) for ideal_s in (0.5, 0.5 + RTT_S)]
    assert seen[0] == seen[1]


def test_samples_are_compared_with_the_theory_of_the_median_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    some = [(Timing(total_s, {"dns": total_s}), Theory(total_s, {"dns": total_s}, "f", "s")) for total_s in (3, 1, 2)]
    found = compared("x", some, 0.03)
    assert (found.measured_s, found.theory_s, found.tolerance) == (2, 2, 0.03)
    assert found.adds_up
