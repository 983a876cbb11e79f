"""File commands CWD to RNTO, SIZE, MDTM, MLST, STAT, SITE (RFC 959 sections 4.1.1 and 4.1.3, RFC 3659)."""

from pathlib import Path

import pytest

from tests.core.services.ftp.fake_connection import FakeConnection

LONG_NAME = "n" * 300


@pytest.mark.parametrize(
    ("commands", "codes"),
    [
        (["PWD"], [257]),
        (["XPWD"], [257]),
        (["CWD sub", "PWD"], [250, 257]),
        (["XCWD sub", "XCUP"], [250, 250]),
        (["CWD nowhere"], [550]),
        (["CWD a.txt"], [550]),
        (["CDUP"], [250]),
        (["MKD new", "RMD new"], [257, 250]),
        (["XMKD new", "XRMD new"], [257, 250]),
        (["MKD sub"], [550]),
        (["MKD /"], [550]),
        (["MKD no/where"], [550]),
        (["RMD sub"], [550]),
        (["RMD nowhere"], [550]),
        (["RMD a.txt"], [550]),
        (["RMD /"], [550]),
        (["DELE a.txt", "DELE a.txt"], [250, 550]),
        (["DELE sub"], [550]),
        (["RNFR a.txt", "RNTO b.txt", "SIZE b.txt", "SIZE a.txt"], [350, 250, 213, 550]),
        (["RNFR nowhere"], [550]),
        (["RNFR nowhere", "RNTO x"], [550, 503]),
        (["RNFR a.txt", "NOOP", "RNTO x"], [350, 200, 503]),
        (["RNFR a.txt", "RNTO no/where"], [350, 553]),
        (["RNFR a.txt", "RNTO sub"], [350, 553]),
        (["RNFR a.txt", f"RNTO {LONG_NAME}"], [350, 553]),
        (["RNFR a.txt", "RNTO .x.part"], [350, 553]),
        (["RNFR a.txt", "RNTO a.txt", "SIZE a.txt"], [350, 250, 213]),
        (["RNFR sub", "RNTO sub/below"], [350, 553]),
        (["SIZE sub"], [550]),
        (["SIZE nowhere"], [550]),
        (["MDTM sub"], [550]),
        (["MDTM nowhere"], [550]),
        (["MFMT 20200102030405 a.txt", "MDTM a.txt"], [213, 213]),
        (["MFMT 20200102030405.678 sub"], [213]),
        (["MFMT 20200102030405 nowhere"], [550]),
        (["MFMT 20200102030405 out.txt"], [550]),
        (["MFMT 20201302030405 a.txt"], [501]),
        (["MFMT 19691231235959 a.txt"], [501]),
        (["MFMT 2020010203040 a.txt"], [501]),
        (["MFMT 20200102030405"], [501]),
        (["MFMT a.txt"], [501]),
        (["MLST nowhere"], [550]),
        (["STAT nowhere"], [550]),
        (["STAT a.txt"], [213]),
        (["STAT sub"], [212]),
        (["STAT"], [211]),
        (["SITE CHMOD 640 a.txt"], [200]),
        (["SITE CHMOD 9 a.txt"], [501]),
        (["SITE CHMOD 640 nowhere"], [550]),
        (["SITE HELP"], [214]),
        (["SITE X"], [504]),
        (["SYST"], [215]),
        (["HELP"], [214]),
        (["HELP retr"], [214]),
        (["HELP x"], [501]),
        (["FEAT"], [211]),
        (["NOOP"], [200]),
        (["ABOR"], [226]),
        (["X"], [500]),
        ([""], [500]),
        (["SMNT x"], [502]),
        (["AUTH TLS"], [502]),
        (["CWD"], [501]),
        (["NOOP x"], [501]),
        (["CWD a\0b"], [501]),
        (["CWD " + "x/" * 150], [501]),
    ],
)
def test_a_command_and_its_replies(desk: FakeConnection, commands: list[str], codes: list[int]) -> None:
    assert desk.codes(*commands) == codes


def test_the_server_keeps_the_directory(desk: FakeConnection) -> None:
    assert desk.say("CWD sub", "PWD", "CDUP", "PWD")[1::2] == [
        '257 "/sub" is the current directory.',
        '257 "/" is the current directory.',
    ]


def test_quotes_in_a_name_are_doubled(desk: FakeConnection) -> None:
    assert desk.say('MKD a"b') == ['257 "/a""b" created.']


def test_names_are_utf_8(desk: FakeConnection, root: Path) -> None:
    desk.say("MKD grün")
    assert (root / "grün").is_dir()


def test_octets_that_are_no_utf_8_come_back_as_they_are(desk: FakeConnection) -> None:
    assert desk.feed(b"MKD \xe4\r\nCWD \xe4\r\nPWD\r\n")[-1] == '257 "/\udce4" is the current directory.'


def test_size_counts_what_the_type_sends(desk: FakeConnection) -> None:
    assert desk.say("TYPE I", "SIZE a.txt", "TYPE A", "SIZE a.txt")[1::2] == ["213 8", "213 10"]


def test_the_time_is_utc(desk: FakeConnection) -> None:
    assert desk.say("MDTM a.txt") == ["213 19941106084937"]


def test_the_time_of_a_file_is_set(desk: FakeConnection, root: Path) -> None:
    assert desk.say("MFMT 20200102030405 a.txt") == ["213 Modify=20200102030405; /a.txt"]
    assert desk.say("MDTM a.txt") == ["213 20200102030405"]
    assert (root / "a.txt").stat().st_mtime == 1_577_934_245
    assert " MFMT" in desk.say("FEAT")


@pytest.mark.parametrize("name", ["a\tb", "a\x1b[2Jb", "a\x7fb", "a\x85b"])
def test_names_with_control_characters_are_sent_as_they_are(desk: FakeConnection, root: Path, name: str) -> None:
    (root / "sub" / "b.bin").rename(root / "sub" / name)
    for command, ending in (("NLST sub", f"sub/{name}"), ("LIST sub", f" {name}"), ("MLSD sub", f"; {name}")):
        assert desk.codes("PASV", command)[-1] == 226
        assert desk.sent[-1].decode().removesuffix("\r\n").endswith(ending)
    assert desk.say(f"MLST sub/{name}")[1].endswith(f"; /sub/{name}")
    assert desk.codes("PASV", f"RETR sub/{name}")[-1] == 226


def test_facts_of_one_file(desk: FakeConnection) -> None:
    first, facts, last = desk.say("MLST a.txt")
    assert (first[:4], last[:4]) == ("250-", "250 ")
    assert facts.startswith(" type=file;size=8;modify=19941106084937;perm=adfrw;unique=")
    assert facts.endswith("UNIX.mode=0644; /a.txt")


def test_the_home_itself_can_be_neither_removed_nor_moved(desk: FakeConnection) -> None:
    """RFC 3659 section 7.5.5: d and f stand for RMD and RNFR."""
    desk.say("OPTS MLST perm;")
    assert [desk.say(f"MLST {path}")[1] for path in ("/", "/sub")] == [" perm=celmp; /", " perm=cdeflmp; /sub"]
    assert desk.codes("RMD /", "RNFR /", "RNTO x") == [550, 350, 553]


def test_deleting_frees_the_quota_of_a_renamed_over_file(root: Path, stranger: FakeConnection) -> None:
    (root / "c.txt").write_bytes(b"12")
    stranger.say("USER small", "PASS secret")
    assert stranger.files is not None
    assert stranger.files.quota.used_bytes == 18
    stranger.say("RNFR c.txt", "RNTO a.txt")
    assert stranger.files.quota.used_bytes == 10
    stranger.say("DELE a.txt")
    assert stranger.files.quota.used_bytes == 8


@pytest.mark.parametrize(
    "command",
    [
        "STOR x",
        "APPE a.txt",
        "STOU",
        "DELE a.txt",
        "MKD x",
        "RMD sub",
        "SITE CHMOD 600 a.txt",
        "MFMT 20200102030405 a.txt",
    ],
)
def test_anonymous_users_change_nothing(stranger: FakeConnection, root: Path, command: str) -> None:
    before = sorted(root.rglob("*"))
    code = stranger.codes("USER ftp", "PASS x", "PASV", command)[-1]
    assert code == (553 if command[:2] in ("ST", "AP") else 550)
    assert sorted(root.rglob("*")) == before


def test_anonymous_users_rename_nothing(stranger: FakeConnection) -> None:
    assert stranger.codes("USER ftp", "PASS x", "RNFR a.txt", "RNTO b")[-1] == 553
