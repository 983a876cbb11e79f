"""The mail programs of the registry: commands and configurations that can be filled in, what is told to install."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from lab7.experiments.harness.implementations.registry import (
    ACCESS_ROLE,
    AGENT_ROLE,
    IMAP_PORT,
    MTA_ROLE,
    SMTP_PORT,
    Implementation,
    expand,
    implementations,
    of_role,
)
from lab7.experiments.harness.template_engine import render
from lab7.experiments.mail.peers import PEERS
from lab7.experiments.mail.servers import Schedule
from lab7.topologies.emulation.errors import MachineError

SERVERS, CLIENTS = [*of_role(MTA_ROLE), *of_role(ACCESS_ROLE)], of_role(AGENT_ROLE)
OPERATIONS = {"send", "pop3", "imap"}
SERVER_VALUES = {
    "domain": "example.org",
    "hostname": "mail.example.org",
    "users": {"alice": "looking-glass", "ann": "secret"},
    "relay": "10.25.1.0/24",
    "maildirs": "/run/h/maildirs",
    "location": "/run/h/maildirs/example.org/%n",
    "home": "/run/h/maildirs/example.org/%n",
    "run": "/run/h/run",
    "submission_port": 587,
    "pop3_port": 110,
    "uid": 8,
    "gid": 8,
    "retry": 1,
    "expire": 60,
    "connect_timeout": 2,
    "address": "10.25.1.25",
    "folder": "/run/h",
    "config": "/run/h/its.conf",
    "program": "/usr/sbin/it",
}
CLIENT_VALUES = {
    "host": "mail.example.org",
    "domain": "example.org",
    "user": "alice",
    "password": "looking-glass",
    "sender": "alice@example.org",
    "recipient": "bob@example.com",
    "message": "/run/h/message",
    "folder": "/run/h/mail",
    "config": "/run/h/its.rc",
    "scripts": str(PEERS),
    "count": 3,
    "port": 2525,
}


def names(some: list[Implementation]) -> list[str]:
    return [one.name for one in some]


@pytest.mark.parametrize("one", SERVERS, ids=names(SERVERS))
def test_a_server_is_told_all_that_it_must_know(one: Implementation) -> None:
    values = SERVER_VALUES | {"port": one.service_port}
    assert one.command is not None
    texts = [*([one.config] if one.config else []), *one.files.values()]
    said = "\n".join([*(render(f"implementations/{text}", **values) for text in texts), *expand(one.command, values)])
    assert one.service_port == (SMTP_PORT if one.role == MTA_ROLE else IMAP_PORT)
    for what in ("/run/h", "alice", "ann", "10.25.1.25", str(one.service_port)):
        assert what in said
    assert "{{" not in said
    for what in ("example.org", "10.25.1.0/24", "587") if one.role == MTA_ROLE else ("looking-glass", "110"):
        assert what in said


@pytest.mark.parametrize("auth", [True, False])
@pytest.mark.parametrize("one", CLIENTS, ids=names(CLIENTS))
def test_a_client_is_told_whom_to_ask_and_what_to_send(one: Implementation, auth: bool) -> None:
    assert one.commands
    assert set(one.commands) <= OPERATIONS
    for operation, template in one.commands.items():
        values = CLIENT_VALUES | {"auth": auth, "what": operation}
        words = expand(template, values)
        assert words[0] in (one.program, "sh", "script")
        said = " ".join(words)
        said += render(f"implementations/{one.config}", **values) if one.config else ""
        assert one.program in said
        assert "mail.example.org" in said
        assert "2525" in said
        if operation == "send":
            assert "/run/h/message" in said
            assert "bob@example.com" in said
            # smtplib's script is told by the user whether to log in.
            assert ("looking-glass" in said) == auth or one.name == "smtplib"
        else:
            assert "looking-glass" in said


def test_each_thing_to_do_has_several_clients() -> None:
    for operation in OPERATIONS:
        assert sum(operation in one.commands for one in CLIENTS) >= 4


def test_the_script_of_python_s_own_clients_runs_with_the_standard_library_alone() -> None:
    command = implementations()[AGENT_ROLE, "poplib"].commands["pop3"]
    script = Path(expand(command, CLIENT_VALUES)[2])
    assert script.is_file()
    assert "experiments" not in script.read_text()


def test_what_cannot_be_installed_beside_another_is_got_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    exim = implementations()[MTA_ROLE, "exim"]
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("lab7.experiments.harness.implementations.registry.UNPACKED", "/nowhere")
    with pytest.raises(MachineError, match="exim is not installed: `lab7 doctor --fix --peers`, which unpacks it"):
        exim.require()


def test_what_is_said_to_install_are_packages() -> None:
    for one in (*SERVERS, *CLIENTS):
        assert all(word.replace("-", "").isalnum() for word in shlex.split(one.package))


def test_the_schedule_reads_the_same_in_flags() -> None:
    assert Schedule(3, 60, 2).flags == "--retry 3 --expire 60 --connect-timeout 2"
