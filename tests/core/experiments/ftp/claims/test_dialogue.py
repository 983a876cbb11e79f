"""F4 and F5 hold by their causes, and fail where a reply has no cause or nothing is remembered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.ftp.claims.dialogue import CODES, decide_reply_codes, decide_session_state
from lab7.experiments.ftp.wire.sessions import FtpTraffic
from tests.core.experiments.ftp.ftp_wire import FtpWire, another
from tests.core.experiments.harness.verdicts import said

DATA = bytes(range(256)) * 9
Scenario = Callable[[FtpWire], FtpWire]


def asks(session: FtpWire) -> FtpWire:
    session.begin().say("USER ann", 331).say("PWD", 530).say("PASS correct-horse", 230).say("PWD", 257).quit()
    wrong_password(session)
    return session


def wrong_password(session: FtpWire, code: int = 530, behind: int = 530) -> FtpWire:
    return another(session).begin().say("USER ann", 331).say("PASS guessed", code).say("PWD", behind).quit()


def any_password(session: FtpWire) -> FtpWire:
    session.begin().say("USER ann", 331).say("PWD", 530).say("PASS correct-horse", 230).say("PWD", 257).quit()
    wrong_password(session, 230, 257)
    return session


def open_behind_a_wrong_one(session: FtpWire) -> FtpWire:
    session.begin().say("USER ann", 331).say("PWD", 530).say("PASS correct-horse", 230).say("PWD", 257).quit()
    wrong_password(session, 530, 257)
    return session


def no_wrong_one(session: FtpWire) -> FtpWire:
    return session.begin().say("USER ann", 331).say("PWD", 530).say("PASS correct-horse", 230).say("PWD", 257).quit()


def stands(session: FtpWire) -> FtpWire:
    return session.log_in().passive("RETR a", DATA, first=125).active("RETR a", DATA).quit()


def cannot(session: FtpWire) -> FtpWire:
    return session.log_in().refused_port("RETR a").quit()


def no_room(session: FtpWire) -> FtpWire:
    session.log_in().passive("STOR ballast", DATA).passive("STOR b", DATA[:700], last=452)
    return session.say("DELE ballast", 250).passive("STOR b", DATA).quit()


SOUND: dict[int, Scenario] = {331: asks, 125: stands, 425: cannot, 452: no_room}


def scenarios(folder: Path, **changed: Scenario) -> dict[int, FtpTraffic]:
    found = {}
    for code, scenario in SOUND.items():
        place = folder / str(code)
        place.mkdir()
        found[code] = changed.get(f"c{code}", scenario)(FtpWire()).traffic(place)
    return found


def test_four_codes_by_their_causes(tmp_path: Path) -> None:
    verdict = said(
        decide_reply_codes(scenarios(tmp_path)),
        "shown",
        "a wrong password gets",
        "125: the data",
        "425: the SYN",
        "452: 'STOR b",
    )
    assert "is reset in frame" in verdict.evidence
    assert len(verdict.frames) == 5 + 4 + 3 + 3


def test_a_scenario_that_is_missing_decides_nothing(tmp_path: Path) -> None:
    every = scenarios(tmp_path)
    for code in CODES:
        said(decide_reply_codes({each: one for each, one in every.items() if each != code}), "undecided", str(code))


def test_a_scenario_without_its_code_is_a_failure(tmp_path: Path) -> None:
    for code in CODES:
        place = tmp_path / f"without {code}"
        place.mkdir()
        changed: dict[str, Scenario] = {f"c{code}": lambda session: session.begin().say("USER ann", 230).quit()}
        said(decide_reply_codes(scenarios(place, **changed)), "failed", f"The scenario for {code} has only the replies")


def let_in(session: FtpWire) -> FtpWire:
    return session.begin().say("USER ann", 331).say("PWD", 257).say("PASS wrong", 230).say("PWD", 257).quit()


def shut_out(session: FtpWire) -> FtpWire:
    return session.begin().say("USER ann", 331).say("PWD", 530).say("PASS correct-horse", 530).quit()


def asked_before_user(session: FtpWire) -> FtpWire:
    return session.begin().say("PWD", 530).say("USER ann", 331).say("PASS correct-horse", 230).say("PWD", 257).quit()


def nothing_asked(session: FtpWire) -> FtpWire:
    return session.begin().say("USER ann", 331).say("PASS correct-horse", 230).say("PWD", 257).quit()


def always_125(session: FtpWire) -> FtpWire:
    return session.log_in().active("RETR a", DATA, first=125).active("RETR a", DATA).quit()


def never_150(session: FtpWire) -> FtpWire:
    return session.log_in().passive("RETR a", DATA, first=125).active("RETR a", DATA, first=125).quit()


def stood_at_425(session: FtpWire) -> FtpWire:
    return session.log_in().passive("RETR a", DATA, last=425).quit()


def never_tried(session: FtpWire) -> FtpWire:
    return session.log_in().refused_port("RETR a", syn=False).quit()


def never_freed(session: FtpWire) -> FtpWire:
    return session.log_in().passive("STOR b", DATA[:700], last=452).passive("STOR b", DATA).quit()


def never_taken(session: FtpWire) -> FtpWire:
    session.log_in().passive("STOR b", DATA[:700], last=452).say("DELE ballast", 250)
    return session.passive("STOR b", DATA, last=452).quit()


def other_octets(session: FtpWire) -> FtpWire:
    session.log_in().passive("STOR b", DATA[:700][::-1], last=452).say("DELE ballast", 250)
    return session.passive("STOR b", DATA).quit()


@pytest.mark.parametrize(
    ("code", "scenario", "why"),
    [
        (331, let_in, "before the login"),
        (331, shut_out, "has no successful login"),
        (331, asked_before_user, "No command is sent between USER and PASS, so that USER alone may have logged in"),
        (331, nothing_asked, "has no command before the login"),
        (331, any_password, "A wrong password in frame"),
        (331, open_behind_a_wrong_one, "after a wrong password"),
        (331, no_wrong_one, "The capture has no attempt with a wrong password"),
        (125, always_125, "gets 125, but its data connection was not open"),
        (125, never_150, "No transfer without an open data connection gets 150"),
        (425, stood_at_425, "was established"),
        (425, never_tried, "gets 425 without an attempt to open a data connection"),
        (452, never_freed, "has no successful DELE after reply 452"),
        (452, never_taken, "and the upload is not accepted after space was freed either"),
        (452, other_octets, "The accepted upload differs from the refused one"),
    ],
)
def test_a_code_without_its_cause_is_a_failure(tmp_path: Path, code: int, scenario: Scenario, why: str) -> None:
    said(decide_reply_codes(scenarios(tmp_path, **{f"c{code}": scenario})), "failed", why)


def test_a_server_may_refuse_port_itself(tmp_path: Path) -> None:
    def at_once(session: FtpWire, syn: bool = True) -> FtpWire:
        session.log_in()
        session.control.client("PA", b"PORT 10,0,1,1,200,0\r\n")
        session.wire.after(40)
        if syn:
            session.from_server(20, 200 * 256).client("S").server("RA")
        session.wire.after(40)
        return session.reply(425).quit()

    said(decide_reply_codes(scenarios(tmp_path, c425=at_once)), "shown", "10.0.1.1:51200")
    again = tmp_path / "again"
    again.mkdir()
    said(
        decide_reply_codes(scenarios(again, c425=lambda session: at_once(session, False))),
        "failed",
        "gets 425 without an attempt to open a data connection",
    )


def remembers(
    session: FtpWire,
    moved: int = 250,
    after: int = 150,
    data: bytes = DATA,
    there: str = "/letters",
    stays: str = "/letters",
    back: str = "/",
) -> FtpWire:
    session.begin().say("PWD", 530).say("USER ann", 331).say("PASS correct-horse", 230).say("PWD", 257)
    session.passive("RETR alice.txt", first=550).say("CWD letters", moved).say("PWD", 257, text=f'"{there}"')
    session.passive("RETR alice.txt", data, first=after).say("CWD nowhere", 550).say("PWD", 257, text=f'"{stays}"')
    return session.say("CDUP", 200).say("PWD", 257, text=f'"{back}"').quit()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"there": "/", "stays": "/"}, "PWD in frame"),
        ({"stays": "/"}, "PWD in frame 41 reports '/' after CWD nowhere - 550"),
        ({"back": "/letters"}, "PWD in frame 45 reports '/letters' after CDUP - 200"),
        ({"back": "/elsewhere"}, "does not return to the first directory"),
        ({"data": DATA[::-1]}, "'RETR alice.txt' in frame 31 returns 2304 octets"),
        ({"data": DATA[:-1]}, "'RETR alice.txt' in frame 31 returns 2303 octets"),
    ],
)
def test_f5_wants_the_directory_and_the_file_in_it(tmp_path: Path, changed: dict[str, Any], why: str) -> None:
    session = remembers(FtpWire(), **changed)
    forgets(session)
    said(decide_session_state(session.traffic(tmp_path), {"alice.txt": DATA}), "failed", why)


def test_f5_wants_the_next_session_to_begin_where_the_first_did(tmp_path: Path) -> None:
    session = remembers(FtpWire())
    later = another(session).log_in().say("PWD", 257, text='"/letters"').passive("RETR alice.txt", first=550).quit()
    said(
        decide_session_state(session.traffic(tmp_path)),
        "failed",
        "The initial directory of a new connection differs: PWD in frame",
    )
    assert later.port != session.port


def test_452_wants_uploads_that_cross_whole(tmp_path: Path) -> None:
    sound = scenarios(tmp_path)
    said(decide_reply_codes(sound, {"b": DATA}), "shown")
    said(decide_reply_codes(sound, {"b": DATA + b"more"}), "failed", "the data connection carried 2304 of 2308 octets")


def forgets(session: FtpWire) -> FtpWire:
    return another(session).log_in().passive("RETR alice.txt", first=550).quit()


def test_what_was_said_before_changes_what_is_answered(tmp_path: Path) -> None:
    session = remembers(FtpWire())
    forgets(session)
    verdict = said(
        decide_session_state(session.traffic(tmp_path)),
        "shown",
        "'PWD' gets '530",
        "'CWD letters' gets '250",
        "'RETR alice.txt' gets '226",
    )
    assert len(verdict.frames) == 6


def test_one_session_does_not_show_that_the_next_begins_anew(tmp_path: Path) -> None:
    said(decide_session_state(remembers(FtpWire()).traffic(tmp_path)), "undecided")


def test_a_directory_that_is_not_remembered_is_a_failure(tmp_path: Path) -> None:
    session = remembers(FtpWire(), after=550)
    forgets(session)
    said(decide_session_state(session.traffic(tmp_path)), "failed", "no RETR fails before CWD and succeeds after it")


def test_a_directory_that_was_not_entered_shows_nothing(tmp_path: Path) -> None:
    session = remembers(FtpWire(), moved=550)
    forgets(session)
    said(decide_session_state(session.traffic(tmp_path)), "failed", "no RETR fails before CWD and succeeds after it")


def test_a_directory_that_outlives_the_session_is_a_failure(tmp_path: Path) -> None:
    session = remembers(FtpWire())
    another(session).log_in().passive("RETR alice.txt", DATA).quit()
    said(
        decide_session_state(session.traffic(tmp_path)),
        "failed",
        "A new connection does not start from the initial directory",
    )


def test_a_login_that_changes_nothing_is_a_failure(tmp_path: Path) -> None:
    session = FtpWire().begin().say("PWD", 257).say("USER ann", 331).say("PASS correct-horse", 230).say("PWD", 257)
    session.passive("RETR alice.txt", first=550).say("CWD letters", 250).passive("RETR alice.txt", DATA).quit()
    forgets(session)
    said(decide_session_state(session.traffic(tmp_path)), "failed", "before the login")
