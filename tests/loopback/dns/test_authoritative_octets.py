"""Authoritative server: malformed queries, streams and datagrams."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.rcode
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.loopback.dns.authority import HOST, PATIENCE_S, framed, read_message, served, udp


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with served(tmp_path_factory.mktemp("zones")) as port:
        yield port


def query(name: str, rtype: str = "A", message_id: int = 1) -> bytes:
    return dns.message.make_query(name, rtype, id=message_id).to_wire()


def connected(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=PATIENCE_S)


def ids(peer: socket.socket, count: int) -> list[int]:
    return [int.from_bytes(read_message(peer)[:2], "big") for _ in range(count)]


QUERIES = [query(f"{name}.example.com", "A", number) for number, name in enumerate(("www", "none", "alias", "mail"), 1)]


def test_queries_that_come_together_are_all_answered(port: int) -> None:
    with connected(port) as peer:
        peer.sendall(framed(*QUERIES))
        assert ids(peer, 4) == [1, 2, 3, 4]


def test_queries_that_come_octet_by_octet_are_all_answered(port: int) -> None:
    with connected(port) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in framed(*QUERIES):
            peer.sendall(bytes((octet,)))
        assert ids(peer, 4) == [1, 2, 3, 4]


def test_a_connection_is_kept_between_queries(port: int) -> None:
    with connected(port) as peer:
        for number, one in enumerate(QUERIES, 1):
            peer.sendall(framed(one))
            assert ids(peer, 1) == [number]


def test_trailing_octets_are_ignored_and_the_next_is_answered(port: int) -> None:
    with connected(port) as peer:
        peer.sendall(framed(QUERIES[0] + b"\0", QUERIES[1]))
        assert ids(peer, 2) == [1, 2]


def test_a_disconnecting_client_does_not_affect_others(port: int) -> None:
    with connected(port) as peer:
        peer.sendall(framed(QUERIES[0])[:9])
    with connected(port) as peer:
        peer.sendall(framed(QUERIES[0]))
        assert ids(peer, 1) == [1]


def test_a_response_is_answered_with_silence(port: int) -> None:
    response = dns.message.make_response(dns.message.from_wire(QUERIES[0])).to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(PATIENCE_S)
        peer.sendto(response, (HOST, port))
        peer.sendto(QUERIES[1], (HOST, port))
        # If the first one had been answered, its response would be the first.
        assert peer.recv(65_535)[:2] == b"\x00\x02"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(octets=st.binary(max_size=100), place=st.integers(0, 40))
def test_no_octets_stop_the_server(port: int, octets: bytes, place: int) -> None:
    mutated = QUERIES[0][:place] + octets + QUERIES[0][place + len(octets) :]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(PATIENCE_S)
        for one in (octets, mutated, query("www.example.com", "A", 65_535)):
            peer.sendto(one, (HOST, port))
        for _ in range(3):
            if peer.recv(65_535)[:2] == b"\xff\xff":
                return
        raise AssertionError("the last query was not answered")


def test_the_log_has_a_line_a_query(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with served(tmp_path, "--log", str(log)) as port:
        # Twice, because the second response is from the response cache.
        udp(port, QUERIES[0])
        udp(port, QUERIES[0])
        udp(port, QUERIES[1])
        with connected(port) as peer:
            peer.sendall(framed(QUERIES[2]))
            read_message(peer)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    queries = [event for event in events if event["event"] == "query"]
    assert [(one["qname"], one["qtype"], one["rcode"], one["answers"], one["over"]) for one in queries] == [
        ("www.example.com.", "A", "NOERROR", 3, "udp"),
        ("www.example.com.", "A", "NOERROR", 3, "udp"),
        ("none.example.com.", "A", "NXDOMAIN", 0, "udp"),
        ("alias.example.com.", "A", "NOERROR", 4, "tcp"),
    ]
    assert all(one["peer"].startswith("127.0.0.1:") and one["size"] > 12 for one in queries)
    assert [event["event"] for event in events if event["event"] != "query"] == ["ready", "stopped"]
