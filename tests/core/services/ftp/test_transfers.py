"""Transfer commands RETR, STOR, STOU, APPE, LIST, NLST, MLSD, REST, ABOR, and their replies (RFC 959 section 5.4)."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from lab7.services.ftp.grammar import DataAddress
from lab7.services.ftp.server_dtp.transfer import AsciiPieces, PieceSender
from lab7.services.ftp.server_pi.actions import TransferComplete
from lab7.services.ftp.server_pi.failures import Cause, Failed
from lab7.services.ftp.server_pi.session import ConnectionInfo
from tests.core.services.ftp.fake_connection import OWN, PEER, FakeConnection, codes_of

PORT = f"PORT {PEER.replace('.', ',')},200,1"


@pytest.mark.parametrize("way", ["PASV", "EPSV", PORT, f"EPRT |1|{PEER}|51201|"])
def test_150_comes_before_the_data_and_226_after(desk: FakeConnection, way: str) -> None:
    assert desk.codes("TYPE I", way, "RETR a.txt")[1:] == [desk_code(way), 150, 226]
    assert desk.sent == [b"one\ntwo\n"]


def desk_code(way: str) -> int:
    return {"PASV": 227, "EPSV": 229}.get(way, 200)


def test_125_where_the_user_has_connected_already(desk: FakeConnection) -> None:
    desk.user_connects_first = True
    assert desk.codes("PASV", "RETR a.txt") == [227, 125, 226]


def test_425_without_an_agreement(desk: FakeConnection) -> None:
    assert desk.codes("RETR a.txt", "STOR x", "LIST", "NLST", "MLSD", "APPE x", "STOU") == [425] * 7


def test_without_an_agreement_the_data_connection_goes_to_the_control_port(root: Path) -> None:
    """RFC 959 sections 3.2 and 3.3; refused by RFC 2577 section 3 and RFC 2428 section 4."""
    codes = {}
    for port in (51_201, 1023):
        desk = FakeConnection(root, ConnectionInfo(PEER, OWN, port))
        desk.log_in()
        codes[port] = desk.codes("RETR a.txt", "EPSV ALL", "RETR a.txt")
        if port >= 1024:
            assert desk.targets == [DataAddress(PEER, port)]
    assert codes == {51_201: [150, 226, 200, 425], 1023: [425, 200, 425]}


def test_an_agreement_is_for_one_transfer(desk: FakeConnection) -> None:
    assert desk.codes(PORT, "RETR a.txt", "RETR a.txt") == [200, 150, 226, 425]


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (Cause.NO_CONNECTION, 425),
        (Cause.CONNECTION_BROKEN, 426),
        (Cause.STALLED, 426),
        (Cause.LOCAL_ERROR, 451),
        (Cause.DISK_FULL, 452),
        (Cause.QUOTA_EXCEEDED, 552),
    ],
)
def test_what_ends_a_transfer_early(desk: FakeConnection, cause: Cause, code: int) -> None:
    desk.outcomes = [Failed(cause)]
    assert desk.codes("PASV", "STOR x", "NOOP") == [227, 150, code, 200]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("RETR nowhere", 550),
        ("RETR sub", 550),
        ("RETR out.txt", 550),
        ("RETR climbs/secret.txt", 550),
        ("RETR a.txt/b", 550),
        ("STOR sub", 553),
        ("STOR no/where", 553),
        ("STOR climbs/x", 553),
        ("STOR " + "n" * 300, 553),
        ("STOR .a.txt.part", 553),
        ("STOR /", 553),
        ("APPE sub", 553),
        ("LIST nowhere", 550),
        ("LIST out.txt", 550),
        ("NLST nowhere", 550),
        ("MLSD nowhere", 550),
        ("MLSD a.txt", 501),
        ("MLSD climbs", 550),
    ],
)
def test_what_keeps_a_transfer_from_beginning(desk: FakeConnection, root: Path, command: str, code: int) -> None:
    before = sorted(root.parent.rglob("*"))
    assert desk.codes("PASV", command) == [227, code]
    assert sorted(root.parent.rglob("*")) == before


def test_links_within_the_home_are_followed(desk: FakeConnection) -> None:
    assert desk.codes("TYPE I", "PASV", "RETR inside.txt")[-1] == 226
    assert desk.sent == [b"one\ntwo\n"]


def test_type_a_ends_lines_in_crlf(desk: FakeConnection, root: Path) -> None:
    assert desk.codes("PASV", "RETR a.txt") == [227, 150, 226]
    assert desk.sent == [b"one\r\ntwo\r\n"]
    desk.data = b"1\r\n2\r\r\n3\n\r"
    assert desk.codes("PASV", "STOR new") == [227, 150, 226]
    assert (root / "new").read_bytes() == b"1\n2\r\n3\n\r"


def test_a_file_is_stored_and_keeps_its_mode(desk: FakeConnection, root: Path) -> None:
    (root / "a.txt").chmod(0o600)
    desk.data = b"new"
    assert desk.codes("TYPE I", "PASV", "STOR a.txt")[-1] == 226
    assert (root / "a.txt").read_bytes() == b"new"
    assert (root / "a.txt").stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(root)) == ["a.txt", "climbs", "inside.txt", "out.txt", "sub"]


def test_storing_over_a_link_replaces_the_link(desk: FakeConnection, root: Path) -> None:
    desk.data = b"new"
    assert desk.codes("PASV", "STOR out.txt")[-1] == 226
    assert not (root / "out.txt").is_symlink()
    assert (root.parent / "outside" / "secret.txt").read_text() == "secret"


def test_stou_chooses_a_name_and_tells_it(desk: FakeConnection, root: Path) -> None:
    desk.data = b"x"
    assert desk.say("PASV", "STOU a.txt")[1] == "150 FILE: /a.txt.1"
    assert desk.say("PASV", "STOU")[1] == "150 FILE: /upload"
    assert desk.say("PASV", "STOU sub")[1] == "150 FILE: /sub/upload"
    assert [(root / name).read_bytes() for name in ("a.txt.1", "upload", "sub/upload")] == [b"x"] * 3


def test_appe_adds_and_makes(desk: FakeConnection, root: Path) -> None:
    desk.data = b"three\n"
    assert desk.codes("TYPE I", "PASV", "APPE a.txt", "PASV", "APPE new")[1:] == [227, 150, 226, 227, 150, 226]
    assert (root / "a.txt").read_bytes() == b"one\ntwo\nthree\n"
    assert (root / "new").read_bytes() == b"three\n"


# REST, and incomplete uploads.


def test_rest_before_retr(desk: FakeConnection) -> None:
    assert desk.codes("TYPE I", "REST 4", "PASV", "RETR a.txt") == [200, 350, 227, 150, 226]
    assert desk.codes("REST 8", "PASV", "RETR a.txt", "PASV", "RETR a.txt") == [350, 227, 150, 226, 227, 150, 226]
    assert desk.codes("TYPE A", "REST 4", "PASV", "RETR a.txt")[-1] == 226
    assert desk.sent == [b"two\n", b"", b"one\ntwo\n", b"\ntwo\r\n"]


@pytest.mark.parametrize("command", ["MLSD nope", "MLSD a.txt", "MLSD", "LIST nope", "RETR nope", "STOR sub", "NLST"])
def test_rest_is_for_the_next_transfer_command_alone(desk: FakeConnection, command: str) -> None:
    """RFC 959 section 4.1.3."""
    desk.say("TYPE I", "REST 4", "EPSV", command, "EPSV", "RETR a.txt")
    assert desk.sent[-1] == b"one\ntwo\n"


@pytest.mark.parametrize("command", ["RETR a.txt", "STOR a.txt", "STOR new"])
def test_rest_past_the_end_is_554(desk: FakeConnection, command: str) -> None:
    assert desk.codes("TYPE I", "REST 9", "PASV", command) == [200, 350, 227, 554]


def broken(desk: FakeConnection, name: str, octets: bytes) -> None:
    """Abort an upload after some octets."""
    desk.holds_transfers = True
    assert desk.codes("TYPE I", "PASV", f"STOR {name}") == [200, 227, 150]
    mover = desk._transfer
    assert mover is not None
    mover._upload.write(memoryview(octets))  # type: ignore[attr-defined]
    assert codes_of(desk.end_transfer(Failed(Cause.CONNECTION_BROKEN))) == [426]
    desk.holds_transfers = False


def test_a_broken_upload_leaves_the_old_file_and_rest_goes_on(desk: FakeConnection, root: Path) -> None:
    broken(desk, "a.txt", b"01234")
    assert (root / "a.txt").read_bytes() == b"one\ntwo\n"
    assert desk.say("SIZE a.txt") == ["213 8"]
    assert desk.say("SIZE .a.txt.part") == ["213 5"]
    desk.data = b"56789"
    assert desk.codes("REST 5", "PASV", "STOR a.txt") == [350, 227, 150, 226]
    assert (root / "a.txt").read_bytes() == b"0123456789"
    assert not (root / ".a.txt.part").exists()


@pytest.mark.parametrize("name", ["n" * 250, "n" * 255, "\u00e9" * 127])
def test_a_name_as_long_as_the_file_system_permits_can_be_stored_and_resumed(
    desk: FakeConnection, root: Path, name: str
) -> None:
    broken(desk, name, b"01234")
    other = name[:-1] + "o"
    broken(desk, other, b"x")
    assert desk.say(f"SIZE {name}") == ["213 5"]
    desk.data = b"56789"
    assert desk.codes("REST 5", "PASV", f"STOR {name}") == [350, 227, 150, 226]
    assert (root / name).read_bytes() == b"0123456789"
    assert desk.codes(f"DELE {other}", f"DELE {name}") == [250, 250]
    assert [entry for entry in os.listdir(root) if entry.endswith(".part")] == []
    assert desk.codes("PASV", "STOR " + "n" * 256)[-1] == 553


def test_size_tells_where_a_broken_upload_of_a_new_file_goes_on(desk: FakeConnection, root: Path) -> None:
    broken(desk, "new", b"01234")
    assert not (root / "new").exists()
    assert desk.codes("PASV", "RETR new") == [227, 550]
    assert desk.say("SIZE new") == ["213 5"]
    desk.data = b"56"
    assert desk.codes("PASV", "APPE new") == [227, 150, 226]
    assert (root / "new").read_bytes() == b"0123456"


def test_a_marker_within_what_came_is_taken(desk: FakeConnection, root: Path) -> None:
    broken(desk, "new", b"01234")
    desk.data = b"ab"
    assert desk.codes("REST 3", "PASV", "STOR new") == [350, 227, 150, 226]
    assert (root / "new").read_bytes() == b"012ab"


def test_a_marker_past_what_came_is_554_though_the_old_file_is_longer(desk: FakeConnection) -> None:
    broken(desk, "a.txt", b"01")
    assert desk.codes("REST 4", "PASV", "STOR a.txt") == [350, 227, 554]


def test_appending_to_a_file_of_which_an_upload_broke_off_waits(desk: FakeConnection) -> None:
    broken(desk, "a.txt", b"01")
    assert desk.codes("PASV", "APPE a.txt") == [227, 450]
    assert desk.codes("DELE .a.txt.part", "PASV", "APPE a.txt") == [250, 227, 150, 226]


def test_storing_again_begins_anew(desk: FakeConnection, root: Path) -> None:
    broken(desk, "new", b"01234")
    desk.data = b"x"
    assert desk.codes("PASV", "STOR new")[-1] == 226
    assert (root / "new").read_bytes() == b"x"


def test_rest_without_a_broken_upload_keeps_the_front_of_the_file(desk: FakeConnection, root: Path) -> None:
    desk.data = b"TWO\n"
    assert desk.codes("TYPE I", "REST 4", "PASV", "STOR a.txt")[-1] == 226
    assert (root / "a.txt").read_bytes() == b"one\nTWO\n"


def test_deleting_a_file_deletes_what_an_upload_left(desk: FakeConnection, root: Path) -> None:
    broken(desk, "new", b"01234")
    assert desk.codes("DELE new", "SIZE new") == [250, 550]
    assert not (root / ".new.part").exists()


def test_an_upload_of_nothing_leaves_nothing(desk: FakeConnection, root: Path) -> None:
    broken(desk, "new", b"")
    assert not (root / ".new.part").exists()


def test_two_uploads_of_one_name_are_kept_apart(desk: FakeConnection, root: Path) -> None:
    with open(root / ".a.txt.part", "wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert desk.codes("PASV", "STOR a.txt") == [227, 450]


def test_a_link_in_the_place_of_a_partial_file_is_not_followed(desk: FakeConnection, root: Path) -> None:
    (root / ".new.part").symlink_to(root.parent / "outside" / "made")
    assert desk.codes("PASV", "STOR new") == [227, 553]
    assert not (root.parent / "outside" / "made").exists()


# Quotas: `small` has 20 octets, 16 of them used.


def test_552_when_the_quota_is_exceeded_and_the_old_file_stays(stranger: FakeConnection, root: Path) -> None:
    stranger.data = b"0123456789"
    assert stranger.codes("USER small", "PASS secret", "TYPE I", "PASV", "STOR new")[-2:] == [150, 552]
    assert stranger.codes("PASV", "STOR a.txt")[-1] == 226
    assert (root / "a.txt").read_bytes() == b"0123456789"
    assert stranger.files is not None
    assert stranger.files.quota.used_bytes == sum(
        path.stat().st_size for path in root.rglob("*") if not path.is_symlink() and path.is_file()
    )


def test_452_when_the_quota_is_used_up_before(stranger: FakeConnection, root: Path) -> None:
    (root / "fills").write_bytes(b"1234")
    assert stranger.codes("USER small", "PASS secret", "PASV", "STOR new", "PASV", "APPE a.txt")[2:] == [
        227,
        452,
        227,
        452,
    ]


def test_452_from_a_full_disk(desk: FakeConnection, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    desk.data = b"x"
    assert desk.codes("PASV", "STOR a.txt") == [227, 150, 452]
    assert (root / "a.txt").read_bytes() == b"one\ntwo\n"


def test_451_from_a_disk_error(desk: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_disk(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "rename", broken_disk)
    assert desk.codes("PASV", "STOR a.txt") == [227, 150, 451]


# During a transfer.


def test_abor_ends_a_transfer_with_426_and_226(desk: FakeConnection) -> None:
    desk.holds_transfers = True
    assert desk.codes("PASV", "RETR a.txt") == [227, 150]
    assert desk.codes("ABOR", "NOOP") == [426, 226, 200]


def test_abor_is_seen_before_what_waits_and_answered_after_it(desk: FakeConnection) -> None:
    desk.holds_transfers = True
    desk.codes("PASV", "RETR a.txt")
    assert desk.codes("PWD", "ABOR") == [426, 257, 226]


def test_abor_sent_with_the_command_it_aborts(desk: FakeConnection) -> None:
    desk.holds_transfers = True
    assert desk.codes("PASV", "RETR a.txt", "ABOR") == [227, 150, 426, 226]


def test_225_where_a_data_connection_is_open_and_nothing_moves(desk: FakeConnection) -> None:
    desk.user_connects_first = True
    assert desk.codes("PASV", "ABOR", "ABOR", "RETR a.txt") == [227, 225, 226, 425]


def test_stat_and_noop_are_answered_meanwhile_and_others_wait(desk: FakeConnection) -> None:
    desk.holds_transfers = True
    desk.codes("PASV", "RETR a.txt")
    assert any("Transfer in progress" in line for line in desk.say("STAT"))
    assert desk.codes("NOOP", "PWD", "NOOP", "QUIT") == [200]
    assert desk.session.is_leaving
    assert codes_of(desk.end_transfer(TransferComplete(8))) == [226, 257, 200, 221]
    assert desk.closed


def test_telnet_interrupt_and_synch_before_abor(desk: FakeConnection) -> None:
    desk.holds_transfers = True
    desk.codes("PASV", "RETR a.txt")
    assert codes_of(desk.feed(b"\xff\xf4\xff\xf2ABOR\r\n")) == [426, 226]


# Listings.


def test_list_as_ls_writes_it(desk: FakeConnection) -> None:
    assert desk.codes("PASV", "LIST") == [227, 150, 226]
    lines = desk.sent[0].decode().split("\r\n")
    assert lines[0] == "-rw-r--r--   1 ftp      ftp                 8 Nov  6 08:49 a.txt"
    # Links that lead outside are not listed; links inside have the kind of their target.
    assert [line.rpartition(" ")[2] for line in lines] == ["a.txt", "inside.txt", "sub", ""]


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("NLST", ["a.txt", "inside.txt", "sub"]),
        ("NLST -la", ["a.txt", "inside.txt", "sub"]),
        ("NLST sub", ["sub/b.bin"]),
        ("NLST /sub/", ["/sub/b.bin"]),
        ("NLST /", ["/a.txt", "/inside.txt", "/sub"]),
        ("NLST *.txt", ["a.txt", "inside.txt"]),
        ("NLST sub/*.bin", ["sub/b.bin"]),
        ("NLST [ab].tx?", ["a.txt"]),
        ("NLST *.none", []),
        ("NLST a.txt", ["a.txt"]),
        ("NLST sub/b.bin", ["sub/b.bin"]),
        ("NLST *" + "*a" * 500, []),
    ],
)
def test_names_can_be_used_as_they_are(desk: FakeConnection, command: str, names: list[str]) -> None:
    assert desk.codes("PASV", command)[-1] == 226
    assert desk.sent[0].decode() == "".join(name + "\r\n" for name in names)


def test_mlsd_gives_facts(desk: FakeConnection) -> None:
    assert desk.codes("OPTS MLST type;size;perm;", "PASV", "MLSD")[-1] == 226
    assert desk.sent[0].decode().split("\r\n") == [
        "type=file;size=8;perm=adfrw; a.txt",
        "type=file;size=8;perm=adfrw; inside.txt",
        "type=dir;perm=cdeflmp; sub",
        "",
    ]


def test_a_name_with_a_line_end_in_it_forges_no_line(desk: FakeConnection, root: Path) -> None:
    (root / "sub" / "x\r\n226 done").touch()
    desk.codes("PASV", "LIST sub")
    assert desk.sent[0].count(b"\r\n") == 2
    assert not [line for line in desk.say("STAT sub")[1:-1] if not line.startswith(" ")]


def test_a_transfer_in_type_a_that_never_begins_closes_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\nb\n")
    descriptor = os.open(tmp_path / "a.txt", os.O_RDONLY)
    PieceSender(AsciiPieces(descriptor, 0)).abandon()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    pieces = AsciiPieces(os.open(tmp_path / "a.txt", os.O_RDONLY), 1)
    assert b"".join(pieces) == b"\r\nb\r\n"
    pieces.close()
