"""Commands of ip(8) as messages of rtnetlink: octets as `ip` itself sends them, and what is left to `ip`."""

from __future__ import annotations

import struct

import pytest

from lab7.topologies.emulation.links import rtnetlink
from lab7.topologies.emulation.links.rtnetlink import messages

INDEX = 7


def octets(line: str) -> str:
    found = messages([line], lambda _name: INDEX)
    assert found is not None
    return found[0].hex()


# Recorded by `strace -x -e sendmsg` from iproute2, in little-endian order, without the request for an acknowledgement,
# the sequence number and the address of the socket.
@pytest.mark.parametrize(
    ("line", "sent"),
    [
        ("link set dev h1-eth0 up", "20000000 1000 0100 00000000 00000000 00000000 07000000 01000000 01000000"),
        (
            "address add 10.0.0.1/24 brd + dev h1-eth0",
            "30000000 1400 0106 00000000 00000000 02180000 07000000"
            " 0800 0200 0a000001 0800 0100 0a000001 0800 0400 0a0000ff",
        ),
        (
            "address replace 10.0.0.1/31 brd + dev h1-eth0",
            "28000000 1400 0105 00000000 00000000 021f0000 07000000 0800 0200 0a000001 0800 0100 0a000001",
        ),
        (
            "route replace default via 10.0.0.254",
            "24000000 1800 0105 00000000 00000000 02000000 fe030001 00000000 0800 0500 0a0000fe",
        ),
        (
            "route replace 10.2.0.0/16 via 10.0.0.2",
            "2c000000 1800 0105 00000000 00000000 02100000 fe030001 00000000 0800 0100 0a020000 0800 0500 0a000002",
        ),
        (
            "neigh replace 10.0.0.2 lladdr 02:00:00:00:01:02 dev h1-eth0",
            "30000000 1c00 0105 00000000 00000000 02000000 07000000 8000 0000 0800 0100 0a000002"
            " 0a00 0200 0200000001020000",
        ),
    ],
)
def test_a_command_is_the_message_that_ip_sends(line: str, sent: str) -> None:
    if struct.pack("=H", 1) != struct.pack("<H", 1):
        pytest.skip("recorded on a little-endian machine")
    assert octets(line) == sent.replace(" ", "")


def test_an_ipv6_address_is_usable_at_once() -> None:
    family, length, flags = bytes.fromhex(octets("address replace 2001:db8::1/64 dev h1-eth0 nodad"))[16:19]
    assert (family, length, flags) == (10, 64, rtnetlink.IFA_F_NODAD)


@pytest.mark.parametrize(
    "line",
    [
        "address flush dev h1-eth0 to 0.0.0.0/0",
        "route replace 10.2.0.0/16 via 10.0.0.2 src 10.0.0.1",
        "route replace default dev h1-eth0",
        "route replace ::/0 via 10.0.0.1",
        "address add 10.0.0.300/24 dev h1-eth0",
        "link set dev h1-eth0 down",
    ],
)
def test_what_is_not_known_is_left_to_ip(line: str) -> None:
    assert messages(["link set dev lo up", line], lambda _name: INDEX) is None
