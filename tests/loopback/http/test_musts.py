"""Every requirement against the origin over a socket, with whole input and octet by octet."""

import socket

import pytest

from tests.loopback.http.must_semantics import CONDITIONS, METHODS, RANGES
from tests.loopback.http.must_syntax import CONNECTIONS, CONTENT, SYNTAX
from tests.loopback.http.musts import Must, get
from tests.loopback.http.support import HOST, PATIENCE_S, read_answers, read_to_end, talk

MUSTS = [*SYNTAX, *CONTENT, *CONNECTIONS, *METHODS, *CONDITIONS, *RANGES]


@pytest.fixture(scope="module")
def etag(port: int) -> bytes:
    [answer] = read_answers(talk(port, get()), ["GET"])
    return (answer.field("ETag") or "").encode("ascii")


@pytest.mark.parametrize("must", MUSTS, ids=lambda must: f"{must.section}: {must.sentence}")
def test_the_origin_keeps(must: Must, port: int, etag: bytes) -> None:
    octets = talk(port, must.probe.replace(b"{etag}", etag))
    assert must.check(octets), octets[:600]


@pytest.mark.parametrize("must", [m for m in MUSTS if len(m.probe) < 200], ids=lambda must: must.sentence)
def test_the_origin_keeps_it_octet_by_octet(must: Must, port: int, etag: bytes) -> None:
    with socket.create_connection((HOST, port), timeout=PATIENCE_S) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for octet in must.probe.replace(b"{etag}", etag):
                peer.send(bytes((octet,)))
            peer.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # It may refuse, and close, before the last octet.
        octets = read_to_end(peer)
    assert must.check(octets), octets[:600]


def test_no_two_musts_are_the_same() -> None:
    assert len({(must.section, must.sentence) for must in MUSTS}) == len(MUSTS)
