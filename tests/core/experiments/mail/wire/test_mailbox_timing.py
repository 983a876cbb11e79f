"""Where the time of POP3 and IMAP sessions goes, and the round trips that theory counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.harness.pathmodel.replay import OmittedTerms
from lab7.experiments.mail.mailboxes import generate_messages
from lab7.experiments.mail.scripts.mailbox import reading_steps, webmail_steps
from lab7.experiments.mail.theory.access import (
    PROTOCOLS,
    TASKS,
    list_pages,
    mailbox_session,
    reading,
    slow_start_windows,
    webmail_session,
    with_window,
)
from lab7.experiments.mail.wire.mailbox_timing import decompose_imap, decompose_pop3
from tests.core.experiments.mail.mailbox_wire import LETTERS, RTT_MS, ImapWire, Pop3Wire

RTT_S = RTT_MS / 1000
SIZES = [len(each) for each in LETTERS]


def test_a_pop3_session_takes_the_round_trips_that_theory_counts(tmp_path: Path) -> None:
    (session,) = Pop3Wire().log_in().count(3).retrieve(*LETTERS).quit().traffic(tmp_path).sessions
    found = decompose_pop3(session)
    theory = mailbox_session(reading("POP3", "everything", [50] * 3, SIZES, 100), RTT_S)
    assert theory.formula == "(6 + n) RTT + slow start"
    assert theory.total_s == pytest.approx((6 + 3) * RTT_S)
    assert found.total_s == pytest.approx(theory.total_s)
    for name, seconds in theory.terms.items():
        assert found.terms[name] == pytest.approx(seconds), name


def test_an_imap_session_takes_seven_whatever_the_number_of_messages(tmp_path: Path) -> None:
    wire = ImapWire().begin().say("CAPABILITY", b"CAPABILITY IMAP4rev1").say("LOGIN bob secret")
    wire.say("EXAMINE INBOX", b"3 EXISTS").fetch("BODY[HEADER]", *LETTERS).quit()
    (session,) = wire.traffic(tmp_path).sessions
    found, theory = decompose_imap(session), mailbox_session(reading("IMAP", "headers", SIZES, SIZES, 100), RTT_S)
    assert theory.total_s == pytest.approx(7 * RTT_S)
    for name, seconds in theory.terms.items():
        assert found.terms[name] == pytest.approx(seconds), name


def test_a_session_without_an_answer_has_no_duration(tmp_path: Path) -> None:
    (session,) = Pop3Wire().begin().traffic(tmp_path).sessions
    with pytest.raises(ValueError, match="has no duration"):
        decompose_pop3(session)


@pytest.mark.parametrize(
    ("answers", "windows"),
    [([100] * 50, 0), ([14_480], 0), ([14_481], 1), ([45_000], 2), ([45_000, 45_000], 2), ([230_000], 4), ([], 0)],
)
def test_slow_start_waits_once_for_each_window_but_the_last(answers: list[int], windows: int) -> None:
    assert slow_start_windows(answers) == windows


def test_webmail_takes_a_request_for_every_page() -> None:
    assert [list_pages(count) for count in (1, 50, 51, 200)] == [1, 1, 2, 4]
    trips = {task: webmail_session(task, 50, [], 1.0).total_s for task in TASKS}
    assert trips == {"headers": 5, "attachment": 8, "everything": 58}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_a_script_says_is_what_theory_counts(protocol: str, task: str) -> None:
    what = reading(protocol, task, [50] * 20, [1000] * 20, 5000)
    steps = [name for name, *_ in reading_steps(protocol, task, 20, "a picture")]
    # imaplib asks for the capabilities before the script begins.
    asked = what.authorization - (protocol == "IMAP") + what.selection + what.retrievals + 1
    assert len(steps) == asked
    assert sum(name in ("top", "retr", "fetch") for name in steps) == what.retrievals


def test_webmail_s_script_asks_for_what_theory_counts() -> None:
    for task in TASKS:
        steps = webmail_steps(task, 20, "a picture")
        # A log-in is answered by two redirections; the links of a list are a step, and a request each.
        requests = len(steps) + 2 + (19 if task == "everything" else 0)
        assert requests == round(webmail_session(task, 20, [], 1.0).total_s) - 1


def test_letters_are_the_same_for_one_seed_and_hold_the_attachment() -> None:
    made = generate_messages(12, 3000, seed=5)
    assert made == generate_messages(12, 3000, seed=5)
    assert made != generate_messages(12, 3000, seed=6)
    assert sum(made.subject in content for content in made.contents) == 1
    assert made.subject in made.contents[made.picture]
    assert all(b"\n" not in content.replace(b"\r\n", b"") for content in made.contents)
    assert made.attached == 4 * 3000 // 3 + 2 * -(-4000 // 76)


def test_the_window_is_what_the_counted_slow_start_leaves_out() -> None:
    closed = mailbox_session(reading("POP3", "attachment", [50], [45_000], 100), RTT_S)
    waits_s = closed.terms["transmission"]
    assert waits_s == pytest.approx(2 * RTT_S)
    assert with_window(closed, OmittedTerms(waits_s, 0.0, 9.0)) == closed
    more = with_window(closed, OmittedTerms(waits_s + RTT_S, 0.001, 9.0))
    assert more.formula == closed.formula
    assert more.total_s == pytest.approx(closed.total_s + RTT_S + 0.001)
    assert (more.terms["window"], more.terms["acknowledgements"]) == pytest.approx((RTT_S, 0.001))


def test_the_terms_of_a_session_add_up_to_it_exactly(tmp_path: Path) -> None:
    (session,) = Pop3Wire().log_in().count(3).retrieve(*LETTERS).quit().traffic(tmp_path).sessions
    found = decompose_pop3(session)
    assert sum(round(value_s * 1e9) for value_s in found.terms.values()) == round(found.total_s * 1e9)
