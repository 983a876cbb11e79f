"""Off-path spoofing: responses sent before the genuine one are rejected, and ids and ports are unpredictable."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.master_file import parse_master_file
from lab7.services.dns.codec.message import Message, Question
from lab7.services.dns.codec.name import Name
from tests.loopback.dns.internet import CLIENT_HOST, PATIENCE_S, free_net, played, resolver, start, stop

TRUE, FORGED = "192.0.2.1", "203.0.113.1"


def answer(query: Message, address: str) -> Message:
    text = f"{query.questions[0].name} 300 A {address}"
    return replace(query.reply(), aa=True, answers=tuple(entry.record for entry in parse_master_file(text)))


def forgeries(query: Message) -> Iterable[tuple[int, bytes]]:
    """Yield spoofed responses that are wrong in one property: (socket to send from, octets)."""
    forged = answer(query, FORGED)
    yield from ((0, replace(forged, id=query.id ^ 1 << bit).to_wire()) for bit in range(16))
    spelling = Name(tuple(label.swapcase() for label in query.questions[0].name.labels))
    for name, rtype in ((spelling, RRType.A), (Name.from_text("victim.net."), RRType.A), (spelling, RRType.MX)):
        yield 0, replace(forged, questions=(Question(name, rtype),)).to_wire()
    yield 0, replace(forged, qr=False).to_wire()
    yield 0, forged.to_wire()[:-1]
    yield 0, b""
    # The right octets from another port, and from another address.
    yield 1, forged.to_wire()
    yield 2, forged.to_wire()


def stub(port: int, *words: str) -> str:
    command = [
        sys.executable,
        "-m",
        "lab7.services.dns.stub",
        f"@{CLIENT_HOST}",
        "--port",
        str(port),
        "--short",
        *words,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout


def test_forged_answers_never_enter(tmp_path: Path) -> None:
    net, port = free_net()

    def play(data: bytes, _: tuple[str, int]) -> Iterable[tuple[int, bytes]]:
        query = Message.from_wire(data)
        yield from forgeries(query)
        yield 0, answer(query, TRUE).to_wire()

    places = [(f"{net}.1", port), (f"{net}.1", port + 1), (f"{net}.2", port)]
    flags = ("--root", f"r.test={net}.1", "--upstream-port", str(port))
    with played(places, play) as received, resolver(tmp_path, *flags) as local:
        for number in range(20):
            assert stub(local.port, f"www{number}.example.com").split() == [TRUE]
        # Each was answered by the first query: spoofed responses cost no retry.
        assert len(received) == 20


def test_ids_ports_and_spellings_cannot_be_foreseen(tmp_path: Path) -> None:
    net, port = free_net()

    def play(data: bytes, _: tuple[str, int]) -> Iterable[tuple[int, bytes]]:
        yield 0, answer(Message.from_wire(data), TRUE).to_wire()

    flags = ("--root", f"r.test={net}.1", "--upstream-port", str(port))
    with played([(f"{net}.1", port)], play) as received, resolver(tmp_path, *flags) as local:
        for number in range(24):
            stub(local.port, f"name{number:02}.example.com")
        queries = [Message.from_wire(data) for data, _ in received]
    ports = [client[1] for _, client in received]
    # Of 24 draws out of 60 000 hardly two are equal, and half lie on each side of the middle.
    assert len(set(ports)) >= 22
    assert len({query.id for query in queries}) >= 22
    assert min(ports) < 33_000 < max(ports)
    assert len({query.questions[0].name.labels[1:] for query in queries}) >= 20


def test_clients_with_the_same_question_share_one_query(tmp_path: Path) -> None:
    net, port = free_net()
    held: list[bytes] = []

    def play(data: bytes, _: tuple[str, int]) -> Iterable[tuple[int, bytes]]:
        held.append(data)
        # The first query is not answered, so that all clients wait when the second arrives.
        if len(held) > 1:
            yield 0, answer(Message.from_wire(data), TRUE).to_wire()

    flags = ("--root", f"r.test={net}.1", "--upstream-port", str(port))
    with (
        played([(f"{net}.1", port)], play) as received,
        resolver(tmp_path, *flags) as local,
        ThreadPoolExecutor(4) as clients,
    ):
        answers = list(clients.map(lambda _: stub(local.port, "www.example.com").split(), range(4)))
        assert answers == [[TRUE]] * 4
        assert len(received) == 2


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "--root NAME=ADDRESS"),
        (("--root", "a.test"), "expected NAME=ADDRESS"),
        (("--root", "a.test=127.0.0.1", "--forward", "127.0.0.1"), "mutually exclusive"),
        (("--root-hints", "/nonexistent"), "cannot read"),
        (("--root", "a.test=127.0.0.1", "--outgoing", "192.0.2.200"), "--outgoing"),
    ],
)
def test_startup_errors(flags: tuple[str, ...], words: str) -> None:
    command = [sys.executable, "-m", "lab7.services.dns.resolver", "--listen", CLIENT_HOST, "--port", "0", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_stop_while_a_question_is_under_way_is_clean(tmp_path: Path) -> None:
    net, port = free_net()
    log = tmp_path / "log"
    flags = ("--root", f"r.test={net}.1", "--upstream-port", str(port), "--log", str(log))
    with played([(f"{net}.1", port)], lambda _, __: ()) as received:
        process = start("lab7.services.dns.resolver", "--listen", CLIENT_HOST, "--port", "0", *flags)
        line = process.stdout.readline() if process.stdout else ""
        local = int(line.rpartition(":")[2])
        asking = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "lab7.services.dns.stub",
                f"@{CLIENT_HOST}",
                "--port",
                str(local),
                "www.example.com",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not received:
                assert asking.poll() is None
            stop(process)
        finally:
            asking.kill()
            asking.wait(PATIENCE_S)
    assert '"stopped"' in log.read_text()
