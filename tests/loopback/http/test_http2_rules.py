"""The rules of http2_rules.py against the origin: error code, scope, and no effect on other connections."""

import pytest

from tests.loopback.http.http2_rules import PREFACES, RULES, Fine, Goaway, Rule
from tests.loopback.http.raw_http2 import (
    PREFACE,
    PROTOCOL_ERROR,
    SETTINGS,
    RawPeer,
    frame,
    headers,
    is_served,
    raw_peer,
)


def _expect_goaway(peer: RawPeer, code: int) -> None:
    peer.until(lambda: False)
    assert peer.goaway is not None
    assert peer.goaway.error_code == code
    assert peer.is_closed


def _expect_alive(peer: RawPeer) -> None:
    peer.ping(b"the end!")
    assert peer.goaway is None
    assert b"the end!" in peer.pongs


def _expect_statuses(peer: RawPeer, statuses: tuple[tuple[int, int], ...]) -> None:
    assert peer.resets == {}
    peer.until(lambda: all(stream_id in peer.replies for stream_id, _ in statuses))
    assert [(stream_id, peer.replies[stream_id].status) for stream_id, _ in statuses] == list(statuses)


def _check(peer: RawPeer, rule: Rule) -> None:
    if rule.late:
        peer.until(lambda: peer.is_answered(1))
        peer.send(rule.late)
    if isinstance(rule.earns, Goaway):
        _expect_goaway(peer, rule.earns.code)
        return
    _expect_alive(peer)
    if isinstance(rule.earns, Fine):
        _expect_statuses(peer, rule.earns.statuses)
    else:
        assert peer.resets == {rule.earns.stream_id: rule.earns.code}
        # RFC 9113 section 5.4.2: a stream error does not affect other streams.
        peer.send(headers(99))
        if not rule.settings:
            peer.until(lambda: peer.is_answered(99))
            assert peer.replies[99].status == 200


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule(port: int, rule: Rule) -> None:
    with raw_peer(port, *rule.settings) as peer:
        peer.send(rule.octets)
        _check(peer, rule)
    assert is_served(port)


@pytest.mark.parametrize("rule", [rule for rule in RULES if len(rule.octets) < 400], ids=lambda rule: rule.name)
def test_rule_octet_by_octet(port: int, rule: Rule) -> None:
    with raw_peer(port, *rule.settings) as peer:
        for octet in rule.octets:
            peer.send(bytes((octet,)))
        _check(peer, rule)


@pytest.mark.parametrize("octets", PREFACES)
def test_3_4_the_first_frame_is_settings(port: int, octets: bytes) -> None:
    with raw_peer(port, greet=False) as peer:
        peer.send(octets)
        _expect_goaway(peer, PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "octets", [b"INVALID CONNECTION PREFACE\r\n\r\n", PREFACE[:-2] + b"\0\0", b"PRI * HTTP/2.0\r\n\r\n"]
)
def test_3_4_a_preface_that_is_none_is_answered_in_http_1_and_ended(port: int, octets: bytes) -> None:
    with raw_peer(port, greet=False) as peer:
        peer.send(octets + b"\r\n\r\n")
        answer = b""
        while piece := peer.socket.recv(65_536):
            answer += piece
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 505 "))
    assert is_served(port)


@pytest.mark.parametrize("cut", range(1, len(PREFACE) + 9))
def test_3_4_the_preface_may_be_cut_anywhere(port: int, cut: int) -> None:
    octets = PREFACE + frame(SETTINGS, 0, 0)
    with raw_peer(port, greet=False) as peer:
        peer.send(octets[:cut])
        peer.send(octets[cut:] + headers(1))
        peer.until(lambda: peer.is_answered(1))
        assert type(peer.frames[0]).__name__ == "SettingsFrame"
        assert peer.replies[1].body == b"0123456789"
