"""Ladders of captures that others publish against tshark: the same messages in the same order and frames.

LAB7_CAPTURES names the folders of the captures, separated by colons (captures/README.md).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab7.experiments.harness.capture.pcapng import CaptureReadError
from tests.core.experiments.ladder.tshark import compared, needs_tshark

VARIABLE = "LAB7_CAPTURES"
SUFFIXES = (".pcap", ".pcapng", ".cap")
FOLDERS = [Path(one) for one in os.environ.get(VARIABLE, "").split(os.pathsep) if one]
CAPTURES = sorted(path for folder in FOLDERS for path in folder.rglob("*") if path.suffix in SUFFIXES)
MISSING = f"{VARIABLE} names no folder of captures (tests/core/experiments/ladder/captures/README.md)"

DAMAGED = "octets were changed at random, so that addresses, ports and lengths contradict each other"
NO_DNS = "tshark takes {} for a response of DNS, though no query of it is there"
# Captures in which tshark is wrong, or goes beyond what lab7 reads, by name: the protocols, and why.
DIFFERENT: dict[str, tuple[tuple[str, ...], str]] = {
    "6in4tunnel.pcap": (("http", "dns"), "lab7 reads no packets inside of tunnels, as its sentence says"),
    "KakaoTalk_talk.pcap": (
        ("http",),
        "a SYN is answered twice, with two sequence numbers, and tshark takes the octets of the second for repeated",
    ),
    "WebattackRCE.pcap": (("http",), "a target has a space, at which tshark ends it"),
    "badpackets.pcap": (("dns",), "of two messages the capture has two octets each, for which tshark has no field"),
    "doq.pcapng": (("dns",), NO_DNS.format("QUIC")),
    "ftp.pcap": (("ftp",), "of a segment within a reply, tshark reads the first line alone, which has no code here"),
    "fuzz-2006-06-26-2594.pcap": (("dns", "ftp"), DAMAGED),
    "fuzz-2006-09-29-28586.pcap": (("http",), DAMAGED),
    "http-manipulated.pcap": (("http",), "many spaces precede a target, and tshark takes the target for the version"),
    "ndpi_match_string_subprotocol__error.pcapng": (("http",), DAMAGED),
    "someip1.pcap": (("dns",), NO_DNS.format("SOME/IP")),
}


@needs_tshark
@pytest.mark.slow
@pytest.mark.skipif(not CAPTURES, reason=MISSING)
@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_the_messages_are_those_that_tshark_reads(capture: Path) -> None:
    try:
        ours, theirs = compared(capture)
    except CaptureReadError as error:
        pytest.skip(str(error))
    protocols, reason = DIFFERENT.get(capture.name, ((), ""))
    different = [protocol for protocol in theirs if ours[protocol] != theirs[protocol]]
    if different and set(different) <= set(protocols):
        pytest.xfail(reason)
    assert ours == theirs
