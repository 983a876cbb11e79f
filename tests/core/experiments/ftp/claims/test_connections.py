"""F1, F2, F3, F6 and F7 hold on captures that show them, and fail on those that do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.ftp.claims.connections import (
    Assignment,
    decide_active_mode,
    decide_command_lines,
    decide_control_connection,
    decide_data_connections,
    decide_passive_mode,
)
from lab7.experiments.ftp.claims.interop import transferred
from lab7.experiments.ftp.wire.sessions import FtpTraffic
from tests.core.experiments.ftp.ftp_wire import FtpWire, another, host_port
from tests.core.experiments.harness.verdicts import lose_one, said
from tests.core.experiments.harness.wire import CLIENT, Tcp

DATA = bytes(range(256)) * 9
OTHER = DATA[::-1]
FILES = {"a": DATA, "b": OTHER}
LISTING = b"-rw-r--r-- 1 ann ann 2304 Jan 01 00:00 a\r\n-rw-r--r-- 1 ann ann 2304 Jan 01 00:00 b\r\n"


def parts_of(traffic: FtpTraffic) -> list[FtpTraffic]:
    """Each session alone."""
    return [FtpTraffic((one,), (), traffic.dropped) for one in traffic.sessions]


def whole() -> FtpWire:
    session = FtpWire().log_in().passive("LIST", LISTING).passive("RETR a", DATA).active("RETR b", OTHER)
    return session.active("STOR a", DATA).quit()


def test_a_sound_session_shows_connections_transfers_and_commands(tmp_path: Path) -> None:
    traffic = whole().traffic(tmp_path)
    (session,) = traffic.sessions
    assert [one.verb for one in session.transfers] == ["LIST", "RETR", "RETR", "STOR"]
    assert [one.stream.data for one in session.transfers] == [LISTING, DATA, OTHER, DATA]
    assert [one.announced and one.announced.mode for one in session.transfers] == ["passive"] * 2 + ["active"] * 2
    verdict = said(decide_control_connection([traffic]), "shown", "with 4 transfers in between")
    assert verdict.frames[0] == session.connection.syn.frame == 1
    said(decide_data_connections(traffic, FILES), "shown", "4 transfers use 4 separate data connections")
    said(decide_command_lines(traffic), "shown", "STOR in frame")


@pytest.mark.parametrize("dropped", [0, 3])
def test_what_is_not_whole_decides_nothing(tmp_path: Path, dropped: int) -> None:
    session = whole()
    if not dropped:
        lose_one(session.wire)
    traffic = session.traffic(tmp_path, dropped)
    for verdict in (
        decide_control_connection([traffic]),
        decide_data_connections(traffic, FILES),
        decide_command_lines(traffic),
        decide_active_mode(traffic),
        decide_passive_mode(traffic),
    ):
        assert verdict.verdict == "undecided"
    assert decide_control_connection([FtpWire().traffic(tmp_path)]).verdict == "undecided"


def test_f1_wants_one_control_connection_a_session(tmp_path: Path) -> None:
    first = whole()
    second = another(first).log_in().quit()
    traffic = first.traffic(tmp_path)
    said(decide_control_connection([traffic]), "failed", "1 session has 2 control connections")
    parts = parts_of(traffic)
    said(decide_control_connection(parts), "shown", "2 sessions")
    # Two in one session and none in the next are as many as there are sessions.
    said(
        decide_control_connection([traffic, traffic.between(0, 1)]),
        "failed",
        "1 of 2 sessions have no control connection",
    )
    assert second.port != first.port


def test_f1_wants_data_that_the_control_connection_outlives(tmp_path: Path) -> None:
    said(
        decide_control_connection([FtpWire().log_in().quit().traffic(tmp_path)]),
        "failed",
        "No session has a data connection",
    )


def test_f1_wants_the_control_connection_to_outlast_the_data(tmp_path: Path) -> None:
    session = FtpWire().log_in().say("PASV", 227, text=f"({host_port('10.0.2.1', 51000)})")
    data = Tcp(session.wire, port=56000, server_port=51000).open()
    session.say("RETR a", 150)
    data.server("PA", DATA[:900])
    session.reply(226)
    session.control.close()
    data.server("PA", b"too late").close()
    said(decide_control_connection([session.traffic(tmp_path)]), "failed", "The control connection is open from frame")


def test_f1_wants_the_control_connection_closed(tmp_path: Path) -> None:
    session = FtpWire().log_in().passive("RETR a", DATA)
    said(decide_control_connection([session.traffic(tmp_path)]), "failed", "was never closed")


def test_f2_wants_the_files_octets(tmp_path: Path) -> None:
    session = FtpWire().log_in().passive("RETR a", OTHER).passive("RETR b", OTHER).quit()
    said(decide_data_connections(session.traffic(tmp_path), FILES), "failed", "carries 2304 octets")


def test_f2_wants_a_connection_for_every_transfer(tmp_path: Path) -> None:
    session = FtpWire().log_in().passive("RETR a", DATA).say("RETR b", 150, 226).quit()
    said(
        decide_data_connections(session.traffic(tmp_path), FILES),
        "failed",
        "'RETR b' in frame",
        "has no data connection",
    )


def test_f2_wants_no_octets_of_a_file_on_the_control_connection(tmp_path: Path) -> None:
    text = b"so many words that nobody would say by chance, one after the other"
    session = FtpWire().log_in().passive("RETR a", text).passive("RETR b", OTHER)
    session.say("HELP", 250, text=text.decode()).quit()
    said(
        decide_data_connections(session.traffic(tmp_path), {"a": text, "b": OTHER}),
        "failed",
        "The control connection of frame 1 carries the octets of a",
    )


def test_f2_wants_every_data_connection_to_serve(tmp_path: Path) -> None:
    session = FtpWire().log_in().passive("RETR a", DATA).passive("RETR b", OTHER)
    session.say("PASV", 227, text=f"({host_port('10.0.2.1', 52000)})")
    Tcp(session.wire, port=57000, server_port=52000).open().close()
    session.quit()
    said(decide_data_connections(session.traffic(tmp_path), FILES), "failed", "carries no transfer")


def test_f2_says_nothing_of_one_transfer(tmp_path: Path) -> None:
    said(
        decide_data_connections(FtpWire().log_in().passive("RETR a", DATA).quit().traffic(tmp_path), FILES), "undecided"
    )


def assigned(traffic: FtpTraffic) -> list[Assignment]:
    return [
        Assignment(traffic, "list", folder=["a", "b"]),
        Assignment(traffic, "get", ["a", "b"]),
        Assignment(traffic, "put", ["a"]),
    ]


def test_f2_wants_all_that_clients_were_to_do(tmp_path: Path) -> None:
    traffic = whole().traffic(tmp_path)
    said(decide_data_connections(traffic, FILES, assigned(traffic)), "shown", "1 listings of the folder")
    said(
        decide_data_connections(traffic, FILES, [Assignment(traffic, "put", ["b"])]),
        "failed",
        "no successful STOR or STOU or APPE of b",
    )
    said(
        decide_data_connections(traffic, FILES, [Assignment(traffic, "get", ["a", "c"])]),
        "failed",
        "no successful RETR of c",
    )


def test_f2_wants_what_is_refused_to_be_missed(tmp_path: Path) -> None:
    session = FtpWire().log_in().passive("LIST", LISTING).passive("RETR a", DATA).passive("RETR b", first=550)
    traffic = session.passive("STOR a", DATA).quit().traffic(tmp_path)
    said(decide_data_connections(traffic, FILES, assigned(traffic)), "failed", "no successful RETR of b")


def test_f2_wants_the_octets_under_a_path_as_well(tmp_path: Path) -> None:
    session = FtpWire().log_in().passive("RETR a", DATA).passive("RETR /home/b", DATA).quit()
    said(decide_data_connections(session.traffic(tmp_path), FILES), "failed", "carries 2304 octets")


@pytest.mark.parametrize(
    ("listing", "why"),
    [
        (b"", "The listing requested in frame 16 lacks a"),
        (b"total 2\r\n" + LISTING.splitlines(keepends=True)[0], "The listing requested in frame 16 lacks b"),
        (LISTING.replace(b" a\r\n", b" aa\r\n"), "The listing requested in frame 16 lacks a"),
        (
            LISTING.replace(b"2304 Jan 01 00:00 b", b"2305 Jan 01 00:00 b"),
            "The listing requested in frame 16 reports 2305 octets for b, not 2304",
        ),
        (LISTING + LISTING.splitlines(keepends=True)[0].replace(b" a\r", b" c\r"), "which is not in the directory"),
        (
            b"type=file;size=2304; a\r\ntype=file;size=1; b\r\n",
            "The listing requested in frame 16 reports 1 octets for b",
        ),
    ],
)
def test_f2_wants_the_listing_of_the_folder(tmp_path: Path, listing: bytes, why: str) -> None:
    session = FtpWire().log_in().passive("LIST", listing).passive("RETR a", DATA).quit()
    traffic = session.traffic(tmp_path)
    said(decide_data_connections(traffic, FILES, [Assignment(traffic, "list", folder=["a", "b"])]), "failed", why)


@pytest.mark.parametrize(
    "listing",
    [
        b"a\r\n./b\r\nlog\r\n",
        b"total 3\r\n"
        + LISTING
        + b"drwxr-xr-x 2 ann ann 4096 Jan 01 00:00 log\r\ndrwx------ 2 0 0 40 Jan 01 2031 .\r\n",
        b"type=cdir;modify=20310101000000; /home\r\nType=file;Size=2304; a\r\nsize=2304;type=file; b\r\n"
        b"type=dir;size=4096; log\r\n",
    ],
)
def test_listings_come_in_several_forms(tmp_path: Path, listing: bytes) -> None:
    session = FtpWire().log_in().passive("LIST", listing).passive("RETR a", DATA).quit()
    traffic = session.traffic(tmp_path)
    sizes = {**FILES, "log": b"no file"}
    said(decide_data_connections(traffic, sizes, [Assignment(traffic, "list", folder=["a", "b", "log"])]), "shown")


def test_f3_wants_commands_that_the_server_takes(tmp_path: Path) -> None:
    session = FtpWire().log_in().passive("LIST", first=550).passive("RETR a", DATA).passive("STOR b", OTHER).quit()
    said(
        decide_command_lines(session.traffic(tmp_path)), "failed", "The server does not accept LIST (first in frame 16)"
    )


def test_f6_and_f7_want_every_transfer_to_succeed(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    active = FtpWire().log_in().active("RETR a", DATA).active("RETR b", OTHER, last=426).quit()
    said(decide_active_mode(active.traffic(tmp_path)), "failed", "'RETR b' gets '426")
    passive = FtpWire().log_in().passive("RETR a", DATA).passive("RETR b", OTHER, last=426).quit()
    said(decide_passive_mode(passive.traffic(tmp_path / "p")), "failed", "'RETR b' gets '426")


def test_a_command_that_the_server_does_not_have_is_no_failed_transfer(tmp_path: Path) -> None:
    session = FtpWire().log_in().passive("RETR a", DATA).say("MLSD", 502).quit()
    said(decide_passive_mode(session.traffic(tmp_path)), "shown", "1 transfers")


def test_a_put_that_is_not_kept_is_a_failure(tmp_path: Path) -> None:
    traffic = FtpWire().log_in().passive("STOR a", DATA).quit().traffic(tmp_path)
    files = {"a": DATA}
    said(transferred("cell", traffic, "put", "passive", files, files), "shown")
    said(transferred("cell", traffic, "put", "passive", files, {}), "failed", "but the server stores nothing")
    said(
        transferred("cell", traffic, "put", "passive", files, {"a": OTHER}),
        "failed",
        "stores 2304 octets, which are not the file's",
    )


def test_f3_wants_ascii(tmp_path: Path) -> None:
    session = whole()
    another(session).log_in().say("CWD Bücher", 250).quit()
    said(decide_command_lines(session.traffic(tmp_path)), "failed", "CWD in frame")


def test_f3_wants_the_verbs_that_the_course_names(tmp_path: Path) -> None:
    session = FtpWire().log_in().passive("RETR a", DATA).quit()
    said(decide_command_lines(session.traffic(tmp_path)), "undecided", "no LIST, STOR")


@pytest.mark.parametrize("line", [b"RETR a\n", b"RE a\r\n", b"\x01\x02 a\r\n", b"GETTHIS a\r\n"])
def test_a_line_out_of_the_grammar_is_a_failure(tmp_path: Path, line: bytes) -> None:
    session = whole()
    later = another(session).log_in()
    later.control.client("PA", line + b"NOOP\r\n")
    later.reply(200)
    later.reply(200)
    later.quit()
    traffic = session.traffic(tmp_path)
    for verdict in (
        decide_control_connection(parts_of(traffic)),
        decide_data_connections(traffic, FILES),
        decide_command_lines(traffic),
    ):
        said(verdict, "failed", "not a command")


@pytest.mark.parametrize("octets", [b"200Done\r\n", b"2 Done\r\n", b"260-Many\r\nlines\r\n", b"999 Odd\r\n"])
def test_a_reply_out_of_the_grammar_is_a_failure(tmp_path: Path, octets: bytes) -> None:
    session = FtpWire().log_in()
    session.control.client("PA", b"NOOP\r\n").server("PA", octets)
    session.control.close()
    said(decide_control_connection([session.traffic(tmp_path)]), "failed", "repl")


def test_a_reply_to_nothing_is_a_failure(tmp_path: Path) -> None:
    early = FtpWire().log_in().reply(200)
    early.wire.after(1)
    said(decide_control_connection([early.quit().traffic(tmp_path)]), "failed", "precedes its command")
    late = FtpWire().log_in().say("QUIT", 221, 200)
    late.control.close()
    said(decide_control_connection([late.traffic(tmp_path)]), "failed", "answers no command")


def test_f6_wants_the_servers_port_20(tmp_path: Path) -> None:
    good = FtpWire().log_in().active("RETR a", DATA).active("STOR b", OTHER).quit()
    verdict = said(decide_active_mode(good.traffic(tmp_path)), "shown", "2 transfers", "PORT 10,0,1,1", "10.0.2.1:20")
    assert len(verdict.frames) == 2
    bad = FtpWire().log_in().active("RETR a", DATA, source=20020).quit()
    said(decide_active_mode(bad.traffic(tmp_path)), "failed", "not from port 20")


def test_f6_wants_the_connection_where_the_client_said(tmp_path: Path) -> None:
    session = FtpWire().log_in().active("RETR a", DATA, to=55555).quit()
    said(decide_active_mode(session.traffic(tmp_path)), "failed", "has no data connection")


def test_f6_and_f7_tell_the_modes_apart(tmp_path: Path) -> None:
    passive = FtpWire().log_in().passive("RETR a", DATA).quit().traffic(tmp_path)
    said(decide_passive_mode(passive), "shown", "227 Passive", "10.0.1.1:")
    said(decide_active_mode(passive), "failed", "The transfer 'RETR a' in frame 16 does not use active mode")
    active = FtpWire().log_in().active("RETR a", DATA).quit().traffic(tmp_path)
    said(decide_passive_mode(active), "failed", "The transfer 'RETR a' in frame 13 does not use passive mode")
    nothing = FtpWire().log_in().quit().traffic(tmp_path)
    said(decide_active_mode(nothing), "undecided")
    said(decide_passive_mode(nothing), "undecided")


def test_f7_wants_the_client_to_connect_where_the_server_said(tmp_path: Path) -> None:
    thief = FtpWire().log_in().passive("RETR a", DATA, client="10.0.9.9").quit()
    said(decide_passive_mode(thief.traffic(tmp_path)), "failed", "not the client")
    elsewhere = FtpWire().log_in().passive("RETR a", DATA, port=55555).quit()
    said(decide_passive_mode(elsewhere.traffic(tmp_path)), "failed", "has no data connection")


def test_extended_announcements_are_read(tmp_path: Path) -> None:
    session = FtpWire().log_in().say("EPSV", 227, text="").say(f"EPRT |1|{CLIENT}|50777|", 200)
    session.control.client("PA", b"RETR a\r\n")
    session.reply(150)
    made = session.from_server(20, 50777)
    made.client("S").server("SA").client("A").client("PA", DATA).client("FA").server("FA")
    session.reply(226)
    session.quit()
    said(decide_active_mode(session.traffic(tmp_path)), "shown", f"EPRT |1|{CLIENT}|50777|")
    other = FtpWire().log_in()
    other.control.client("PA", b"EPSV\r\n").server("PA", b"229 Entering (|||50888|)\r\n")
    made = Tcp(other.wire, port=56888, server_port=50888).open()
    other.say("RETR a", 150)
    made.server("PA", DATA).server("FA").client("FA")
    other.reply(226).quit()
    said(decide_passive_mode(other.traffic(tmp_path)), "shown", "229 Entering")


def test_a_reply_of_many_lines_is_one(tmp_path: Path) -> None:
    session = FtpWire().log_in()
    session.control.client("PA", b"FEAT\r\n").server("PA", b"211-Features\r\n MDTM\r\n211-odd\r\n")
    session.control.server("PA", b"200 not yet\r\n211 End\r\n")
    (found,) = session.quit().traffic(tmp_path).sessions
    assert [(one.command.verb, one.codes) for one in found.exchanges[-2:]] == [("FEAT", (211,)), ("QUIT", (221,))]
    assert found.exchanges[-2].final is not None
    assert found.exchanges[-2].final.message == b"Features\n MDTM\n211-odd\n200 not yet\nEnd"


def test_an_aborted_transfer_is_answered_before_abor_is(tmp_path: Path) -> None:
    session = FtpWire().log_in().passive("RETR b", OTHER).say("PASV", 227, text=f"({host_port('10.0.2.1', 51500)})")
    made = Tcp(session.wire, port=56500, server_port=51500).open()
    session.say("RETR a", 150)
    made.server("PA", DATA[:500])
    session.control.client("PA", b"\xff\xf4\xff\xf2ABOR\r\n")
    session.control.server("PA", b"426 Aborted.\r\n226 Closed.\r\n")
    made.close()
    (found,) = session.quit().traffic(tmp_path).sessions
    assert found.problem is None
    assert [(one.command.verb, one.codes) for one in found.exchanges[-3:-1]] == [("RETR", (150, 426)), ("ABOR", (226,))]
    assert not found.transfers[-1].done


@pytest.mark.parametrize("mode", ["active", "passive"])
def test_a_cell_passes_by_what_crossed(tmp_path: Path, mode: str) -> None:
    for what, command, data in (("get", "RETR {}", FILES), ("put", "STOR {}", FILES)):
        session = FtpWire().log_in()
        for name, octets in data.items():
            getattr(session, mode)(command.format(name), octets)
        traffic = session.quit().traffic(tmp_path)
        said(transferred("cell", traffic, what, mode, FILES), "shown", "2 files")  # type: ignore[arg-type]
        said(transferred("cell", traffic, what, mode, {"a": OTHER}), "failed")  # type: ignore[arg-type]
        said(transferred("cell", traffic, what, mode, {"c": DATA}), "failed", "c was not")  # type: ignore[arg-type]
        said(transferred("cell", traffic, "list", mode, FILES), "failed", "has no LIST or NLST")  # type: ignore[arg-type]
        wrong = "passive" if mode == "active" else "active"
        said(transferred("cell", traffic, what, wrong, FILES), "failed", f"does not use {wrong} mode")  # type: ignore[arg-type]


def test_a_listing_must_name_the_files(tmp_path: Path) -> None:
    traffic = FtpWire().log_in().passive("LIST", LISTING).quit().traffic(tmp_path)
    said(transferred("cell", traffic, "list", "passive", FILES), "shown", "2 files were listed (LIST in frame 16)")
    said(transferred("cell", traffic, "list", "passive", {"c": b""}), "failed", "lacks c")
    said(
        transferred("cell", traffic, "list", "passive", {"a": DATA}), "failed", "has 'b', which is not in the directory"
    )
    refused = FtpWire().log_in().passive("LIST", first=550).quit().traffic(tmp_path)
    said(transferred("cell", refused, "list", "passive", FILES), "failed", "'LIST' gets '550")
