"""The small Internet, tried as a person tries it: by dig and curl in its hosts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lab7.topologies import internet
from lab7.topologies.cdn import ALIAS, REGIONS, host_name, replica_address
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.internet import PASSWORDS, InternetTopo
from tests.emulation.support import eventually

WELCOME = b"travelled over an emulated network"
ASK = ["dig", "+short", "www.example.com"]


@pytest.fixture(scope="module")
def whole() -> Iterator[Testbed]:
    with Testbed(InternetTopo(scale=0.1), links="wire") as bed:
        yield bed


@pytest.mark.parametrize("line", internet.TRY)
def test_what_the_internet_says_to_try_works(whole: Testbed, line: str) -> None:
    host, *words = shlex.split(line)
    done = whole.host(host).run(words)
    assert done.returncode == 0, done.stderr
    if any("@mail." in word or word == "swaks" for word in words):
        # Mail: see below for who gets it.
        assert "swaks" not in words or b"250 2.0.0 Queued as" in done.stdout
    elif "curl" in words:
        assert WELCOME in done.stdout
    else:
        assert ALIAS.encode() in done.stdout


def test_the_campus_cache_answers_the_second_time_and_says_so(whole: Testbed) -> None:
    words = ["curl", "-sD", "-", "-o", "/dev/null", "-x", "http://cache.campus.edu:3128", "http://www.example.com/"]
    whole.host("alice").run(words)
    assert b"Cache-Status: c-cache; hit" in whole.host("carol").run(words).stdout


@pytest.mark.parametrize("region", REGIONS)
def test_users_of_a_region_are_led_to_its_edge_server(whole: Testbed, region: str) -> None:
    answer = whole.host(host_name("user", region)).run(ASK).stdout.decode().split()
    assert answer == [ALIAS, replica_address(region)]


def test_alice_and_carol_write_to_each_other_from_their_domains(whole: Testbed) -> None:
    homes = {"alice": ("campus.edu", "c-mail"), "carol": ("example.com", "mail")}
    for sender, receiver in (("alice", "carol"), ("carol", "alice")):
        subject = f"from {sender}, to be answered"
        words = ["swaks", "--server", f"mail.{homes[sender][0]}", "--port", "587", "--auth", "PLAIN"]
        words += ["--auth-user", sender, "--auth-password", PASSWORDS[sender], "--from", f"{sender}@{homes[sender][0]}"]
        words += ["--to", f"{receiver}@{homes[receiver][0]}", "--header", f"Subject: {subject}"]
        assert whole.host(sender).run(words).returncode == 0
        domain, server = homes[receiver]
        new = whole.host(server).workdir / "maildirs" / domain / receiver / "new"
        assert eventually(partial(is_there, new, subject))


def is_there(new: Path, text: str) -> bool:
    return any(text in one.read_text() for one in new.glob("*"))
