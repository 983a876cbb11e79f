"""Sessions that are taken again: all of them are kept, and one that breaks off ends them."""

from __future__ import annotations

import pytest

from lab7.experiments.ftp.modes import Sessions as FtpSessions
from lab7.experiments.harness.measurement import Window
from lab7.experiments.mail.mailbox_sessions import Sessions as MailboxSessions
from lab7.topologies.emulation.errors import EmulationError

TAKEN = [Window(1, 2), Window(3, 4)]


def broken_off() -> list[Window]:
    raise EmulationError("the server closed")


def test_every_session_on_a_mailbox_is_kept() -> None:
    sessions = MailboxSessions()
    sessions.attempt_several("POP3 headers", lambda: TAKEN)
    sessions.attempt("POP3 headers", lambda: Window(5, 6))
    assert sessions.windows == {"POP3 headers": [*TAKEN, Window(5, 6)]}


def test_a_mailbox_session_that_breaks_off_is_not_had_again() -> None:
    sessions = MailboxSessions()
    sessions.attempt_several("POP3 headers", broken_off)
    sessions.attempt_several("POP3 headers", lambda: pytest.fail("it was had again"))
    assert sessions.windows == {"POP3 headers": []}
    assert sessions.failures == {"POP3 headers": "the server closed"}


def test_every_ftp_session_is_kept() -> None:
    sessions = FtpSessions()
    assert sessions.attempt_several("active", lambda: TAKEN) == TAKEN
    assert sessions.attempt("active", lambda: TAKEN[0]) == TAKEN[0]


def test_an_ftp_session_that_breaks_off_is_not_had_again_and_its_time_is_known() -> None:
    sessions = FtpSessions()
    assert sessions.attempt_several("active", broken_off) == []
    assert sessions.attempt("active", lambda: pytest.fail("it was had again")) is None
    assert len(sessions.broken_off["active"]) == 1
    assert sessions.failures == {"active": "the server closed"}
