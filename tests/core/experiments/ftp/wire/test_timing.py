"""A session's time is divided into its terms, and theory counts the same round trips."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.ftp.theory import MESSAGES_A_FILE, MODES, framing_s, ftp_session
from lab7.experiments.ftp.wire.timing import FTP_TERMS, decompose_session, other_commands, segment_sizes, span_of
from lab7.experiments.harness.theory.tcp import SEGMENT_OVERHEAD_BYTES
from lab7.experiments.http.theory import http_page_load
from tests.core.experiments.ftp.ftp_wire import RTT_MS, FtpWire

RTT_S = RTT_MS / 1e3
DATA = bytes(1000)
FAST_BPS = 1e12


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("mode", MODES)
def test_a_session_takes_the_round_trips_that_theory_counts(tmp_path: Path, mode: str, count: int) -> None:
    session = FtpWire().log_in()
    for number in range(count):
        getattr(session, mode)(f"RETR {number}", DATA)
    (found,) = session.quit().traffic(tmp_path).sessions
    parts = decompose_session(found)
    theory = ftp_session(mode, RTT_S, [len(DATA)] * count, FAST_BPS, len(other_commands(found)))
    assert len(other_commands(found)) == 3
    # Each file's octets take a millisecond on this wire, behind their first one.
    assert parts.total_s == pytest.approx(theory.total_s + count * 0.001, abs=1e-6)
    assert sum(parts.terms.values()) == pytest.approx(parts.total_s)
    for term in ("control_handshake", "dialogue", "announcement", "data_handshake", "request"):
        assert parts.terms[term] == pytest.approx(theory.terms[term], abs=1e-6), term
    assert set(theory.terms) == set(FTP_TERMS)
    assert theory.formula == "(5 + 3n) RTT + X"
    assert theory.total_s == pytest.approx((5 + 3 * count) * RTT_S, abs=1e-6)


def test_a_command_before_each_transfer_is_dialogue(tmp_path: Path) -> None:
    session = FtpWire().log_in()
    for name in "ab":
        session.say("TYPE I", 200).passive(f"RETR {name}", DATA)
    (found,) = session.say("PWD", 257).quit().traffic(tmp_path).sessions
    assert [one.command.verb for one in other_commands(found)] == ["USER", "PASS", "TYPE", "TYPE", "TYPE"]
    assert decompose_session(found).terms["dialogue"] == pytest.approx(6 * RTT_S, abs=1e-6)


def test_a_reply_that_keeps_waiting_is_confirmation(tmp_path: Path) -> None:
    session = FtpWire().log_in().passive("STOR a", DATA)
    (found,) = session.quit().traffic(tmp_path).sessions
    assert decompose_session(found).terms["confirmation"] == pytest.approx(RTT_S + 0.001, abs=1e-6)


def test_a_session_without_a_transfer_has_no_duration(tmp_path: Path) -> None:
    (found,) = FtpWire().log_in().quit().traffic(tmp_path).sessions
    with pytest.raises(ValueError, match="without a transfer"):
        decompose_session(found)


def test_transmission_is_the_links() -> None:
    slow, fast = (ftp_session("passive", 0.1, [1448, 4000], rate, 3) for rate in (1e6, 1e7))
    assert slow.terms["transmission"] == pytest.approx(10 * fast.terms["transmission"])
    assert sum(slow.terms.values()) == pytest.approx(slow.total_s)


def test_a_lasting_connection_for_all_saves_two_round_trips_a_file() -> None:
    def a_file_more(by_ftp: bool) -> float:
        def total(n: int) -> float:
            if by_ftp:
                return ftp_session("passive", 0.1, [1000] * n, FAST_BPS, 3).total_s
            return http_page_load("1.1-persistent", 0.1, [1000] * n, FAST_BPS).total_s

        return total(8) - total(7)

    assert a_file_more(by_ftp=True) - a_file_more(by_ftp=False) == pytest.approx(0.2, abs=1e-6)


@pytest.mark.parametrize(("mode", "sizes"), [("both", [1]), ("active", [])])
def test_what_is_no_session_is_refused(mode: str, sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="active or passive, with at least one file"):
        ftp_session(mode, 0.1, sizes, 1e7, 3)


@pytest.mark.parametrize("mode", MODES)
def test_framing_is_what_the_segments_take_beyond_those_that_are_counted(tmp_path: Path, mode: str) -> None:
    session = FtpWire().log_in()
    for number in range(2):
        getattr(session, mode)(f"RETR {number}", DATA)
    (found,) = session.quit().traffic(tmp_path).sessions
    control, data = segment_sizes(found)
    dialogue, sizes = len(other_commands(found)), [len(DATA)] * 2
    assert sum(data) == sum(sizes)
    assert len(control) == 1 + 2 * dialogue + 2 * MESSAGES_A_FILE
    mean = round(sum(control) / len(control))
    rounding_s = (sum(control) - mean * len(control)) * 8 / 1e6
    # These files come in two segments each, and need one.
    assert framing_s(control, data, sizes, 1e6, dialogue, mean) == pytest.approx(
        rounding_s + (len(data) - 2) * SEGMENT_OVERHEAD_BYTES * 8 / 1e6, abs=1e-9
    )


def test_what_comes_behind_the_last_transfer_is_in_no_term(tmp_path: Path) -> None:
    short, long = FtpWire().log_in().passive("RETR a", DATA), FtpWire().log_in().passive("RETR a", DATA)
    (one,) = short.quit().traffic(tmp_path).sessions
    (other,) = long.say("PWD", 257).quit().traffic(tmp_path).sessions
    assert segment_sizes(one) == segment_sizes(other)
    assert span_of(one) == span_of(other)
