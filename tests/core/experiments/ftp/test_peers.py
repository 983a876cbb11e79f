"""The FTP servers and clients of the registry: commands that can be filled in, ports, what is told to install."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from lab7.experiments.ftp.claims.interop import WHATS
from lab7.experiments.ftp.lab import supports
from lab7.experiments.ftp.matrix import columns
from lab7.experiments.ftp.peers import PEERS
from lab7.experiments.ftp.theory import MODES
from lab7.experiments.harness.implementations.registry import (
    FTP_CLIENT,
    FTP_PORT,
    FTP_SERVER,
    SFTP_SERVER,
    SSH_PORT,
    Implementation,
    expand,
    implementations,
    of_role,
)
from lab7.experiments.harness.template_engine import TEMPLATES, render

DEEDS = {f"{what}-{mode}" for what in WHATS for mode in MODES}
SERVERS, CLIENTS = [*of_role(FTP_SERVER), *of_role(SFTP_SERVER)], of_role(FTP_CLIENT)
SERVER_VALUES = {
    "root": "/srv/ann",
    "user": "ann",
    "password": "secret",
    "port": 21,
    "address": "10.9.2.1",
    "folder": "/run/h",
    "config": "/run/h/its.conf",
}
CLIENT_VALUES = {
    "host": "ftp.example.com",
    "user": "ann",
    "password": "secret",
    "names": ["one.bin", "two.bin"],
    "folder": "/run/h",
    "scripts": str(PEERS),
    "mode": "active",
}


def names(some: list[Implementation]) -> list[str]:
    return [one.name for one in some]


@pytest.mark.parametrize("one", SERVERS, ids=names(SERVERS))
def test_a_server_can_be_started(one: Implementation) -> None:
    assert one.command
    words = expand(one.command, SERVER_VALUES)
    assert "{" not in " ".join(words)
    assert set(one.known) <= DEEDS
    assert one.service_port == (SSH_PORT if one.role == SFTP_SERVER else FTP_PORT)
    if one.config is not None:
        assert (TEMPLATES / "implementations" / one.config).is_file()
        assert str(SERVER_VALUES["port"]) in render(f"implementations/{one.config}", **SERVER_VALUES)


@pytest.mark.parametrize("one", CLIENTS, ids=names(CLIENTS))
def test_a_client_does_in_both_modes_what_it_does(one: Implementation) -> None:
    assert set(one.commands) <= DEEDS
    for what in ("list", "get"):
        for mode in MODES:
            assert supports(one, what, mode)
    assert supports(one, "put", "active") == supports(one, "put", "passive")
    for deed, template in one.commands.items():
        words = expand(template, CLIENT_VALUES)
        assert words[0] == one.program
        text = " ".join(words)
        assert "ftp.example.com" in text
        assert ("two.bin" in text) == (not deed.startswith("list"))


def test_the_two_modes_are_asked_for_in_different_words() -> None:
    for one in CLIENTS:
        for what in WHATS:
            if supports(one, what, "active"):
                assert one.commands[f"{what}-active"] != one.commands[f"{what}-passive"]


def test_lab7_s_client_and_a_persons_own_are_put_to_everything() -> None:
    own = Implementation("mine", FTP_CLIENT, "python3", command="python3 mine.py", own=True)
    assert all(supports(client, what, mode) for client in (None, own) for what in WHATS for mode in MODES)


def test_every_client_is_a_column_with_all_there_is_to_do() -> None:
    assert len(columns()) == (1 + len(CLIENTS)) * len(DEEDS)
    assert len({(each.name, each.protocol) for each in columns()}) == len(columns())


def test_ftplib_s_script_runs_with_the_standard_library_alone() -> None:
    script = Path(expand(implementations()[FTP_CLIENT, "ftplib"].commands["list-active"], CLIENT_VALUES)[2])
    assert script.is_file()
    assert "experiments" not in script.read_text().replace(script.name, "")


def test_a_module_that_a_python_lacks_counts_as_not_installed() -> None:
    there = Implementation("json", FTP_SERVER, "python3", module="json")
    assert there.installed()
    assert not Implementation("nothing", FTP_SERVER, "python3", module="no_such_module_at_all").installed()
    assert not Implementation("nobody", FTP_SERVER, "no-such-python", module="json").installed()


def test_what_is_said_to_install_is_a_package() -> None:
    for one in (*SERVERS, *CLIENTS):
        assert shlex.split(one.package) == [one.package]
