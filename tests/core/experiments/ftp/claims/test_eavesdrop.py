"""F8 is shown by what a listener recovers, and F9 by nothing: the same search finds what is there."""

from __future__ import annotations

import base64
from pathlib import Path
from random import Random

import pytest

from lab7.experiments.ftp.claims.eavesdrop import Overheard, Secret, decide_eavesdropping, decide_encryption, eavesdrop
from tests.core.experiments.ftp.ftp_wire import FtpWire
from tests.core.experiments.harness.verdicts import lose_one, said
from tests.core.experiments.harness.wire import CLIENT, INTERFACE, SERVER, Tcp, Wire

EVE = "10.0.1.66"
FILE = Random(1).randbytes(4000)
SECRET = Secret("ann", "correct-horse", "customers.bin", FILE)
BANNER = b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n"


def heard(wire: Wire, folder: Path, address: str = EVE, dropped: int = 0) -> Overheard:
    return eavesdrop(wire.capture(folder, dropped), INTERFACE, address)


def by_ftp(content: bytes = FILE) -> FtpWire:
    return FtpWire().log_in().passive("RETR customers.bin", content).quit()


def by_ssh(said_up: bytes = b"", said_down: bytes = b"", size: int = 5000) -> Wire:
    wire, noise = Wire(), Random(2)
    tcp = Tcp(wire, port=41000, server_port=22).open()
    tcp.client("PA", BANNER).server("PA", BANNER)
    tcp.client("PA", noise.randbytes(700) + said_up)
    for _ in range(size // 1000):
        tcp.server("PA", noise.randbytes(1000))
    tcp.server("PA", said_down + noise.randbytes(10)).close()
    return wire


@pytest.fixture
def ftp(tmp_path: Path) -> Overheard:
    folder = tmp_path / "ftp"
    folder.mkdir()
    return heard(by_ftp().wire, folder)


def test_a_listener_recovers_user_password_and_file(ftp: Overheard) -> None:
    verdict = said(decide_eavesdropping(ftp, SECRET), "shown", "'ann'", "'correct-horse'", "4000 octets", EVE)
    assert len(verdict.frames) == 3
    assert [one.what for one in ftp.credentials["PASS"]] == ["correct-horse"]


def test_an_upload_is_recovered_as_well(tmp_path: Path) -> None:
    session = FtpWire().log_in().active("STOR customers.bin", FILE).quit()
    said(decide_eavesdropping(heard(session.wire, tmp_path), SECRET), "shown")


def test_who_takes_part_is_no_third_host(tmp_path: Path) -> None:
    for address in (CLIENT, SERVER):
        said(
            decide_eavesdropping(heard(by_ftp().wire, tmp_path, address), SECRET),
            "undecided",
            "captured no connection of other hosts",
        )


def test_what_was_not_captured_whole_decides_nothing(tmp_path: Path) -> None:
    said(decide_eavesdropping(heard(by_ftp().wire, tmp_path, dropped=1), SECRET), "undecided", "dropped")
    said(decide_eavesdropping(heard(lose_one(by_ftp().wire), tmp_path), SECRET), "undecided", "is incomplete")


def test_another_password_is_not_the_users(tmp_path: Path) -> None:
    other = Secret("ann", "battery-staple", "customers.bin", FILE)
    said(decide_eavesdropping(heard(by_ftp().wire, tmp_path), other), "failed", "is not that of the user")


def test_half_a_file_is_no_file(tmp_path: Path) -> None:
    said(
        decide_eavesdropping(heard(by_ftp(FILE[:2000]).wire, tmp_path), SECRET),
        "failed",
        "but only 62 blocks of the file",
    )


def test_a_session_without_a_password_shows_none(tmp_path: Path) -> None:
    session = FtpWire().begin().say("USER ann", 230).passive("RETR customers.bin", FILE).quit()
    said(decide_eavesdropping(heard(session.wire, tmp_path), SECRET), "failed", "contains a password")


def test_nothing_is_recovered_from_ssh(tmp_path: Path, ftp: Overheard) -> None:
    verdict = decide_encryption(heard(by_ssh(), tmp_path), ftp, SECRET, FILE)
    said(verdict, "shown", "125 blocks", "OpenSSH_9.2p1", "octets downstream", "10.0.2.1:22")


@pytest.mark.parametrize(
    ("up", "down", "what"),
    [
        (b"\r\nUSER ann\r\n", b"", "USER 'ann'"),
        (b"\nPASS correct-horse\r\n", b"", "PASS 'correct-horse'"),
        (b"..correct-horse..", b"", "the password"),
        (base64.b64encode(b"\0ann\0correct-horse"), b"", "the password"),
        (b"correct-horse".hex().encode(), b"", "the password"),
        (b"get customers.bin", b"", "the file's name"),
        (b"", FILE[320:420], "3 blocks of the file"),
        (b"", FILE, "125 blocks of the file"),
    ],
    ids=["USER", "PASS", "password", "base64", "hexadecimal", "name", "a piece", "all of it"],
)
def test_whatever_leaks_is_found(tmp_path: Path, ftp: Overheard, up: bytes, down: bytes, what: str) -> None:
    said(decide_encryption(heard(by_ssh(up, down), tmp_path), ftp, SECRET, FILE), "failed", what)


def test_the_same_search_over_ftp_finds_everything(ftp: Overheard) -> None:
    # The banner is what is missing: it is no SSH, so nothing is said of SSH.
    said(decide_encryption(ftp, ftp, SECRET, FILE), "undecided", "The SFTP transfer is incomplete")


def test_a_file_that_did_not_arrive_shows_nothing(tmp_path: Path, ftp: Overheard) -> None:
    said(
        decide_encryption(heard(by_ssh(), tmp_path), ftp, SECRET, FILE[:-1]),
        "undecided",
        "The SFTP transfer is incomplete",
    )
    said(
        decide_encryption(heard(by_ssh(size=1000), tmp_path), ftp, SECRET, FILE),
        "undecided",
        "The SFTP transfer is incomplete",
    )
    said(
        decide_encryption(heard(Wire(), tmp_path), ftp, SECRET, FILE),
        "undecided",
        "captured no connection of other hosts",
    )


def test_a_search_that_finds_nothing_anywhere_shows_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    deaf = heard(by_ftp(FILE[:2000]).wire, folder)
    said(
        decide_encryption(heard(by_ssh(), tmp_path), deaf, SECRET, FILE),
        "undecided",
        "finds nothing in the FTP transfer",
    )
