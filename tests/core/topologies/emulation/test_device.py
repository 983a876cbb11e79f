"""Offload features are switched off by name, independent of the kernel's numbering."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from lab7.topologies.emulation.links.device import BLOCK_BITS, requests

OFFLOADS = [
    b"tx-checksum-ip-generic",
    b"tx-scatter-gather",
    b"tx-tcp6-segmentation",
    b"tx-generic-segmentation",
    b"rx-gro",
]
OTHERS = [b"highdma", b"rx-gro-list", b"tx-vlan-hw-insert", b"tx-udp-segmentation", b""]


def asked_for(names: list[bytes]) -> list[bytes]:
    blocks = struct.iter_unpack("=II", requests(names))
    masks = [mask for mask, wanted in blocks if wanted == 0]
    return [name for place, name in enumerate(names) if masks[place // BLOCK_BITS] >> place % BLOCK_BITS & 1]


@given(st.lists(st.sampled_from(OFFLOADS + OTHERS), max_size=100))
def test_offloads_are_asked_to_be_off_and_nothing_else_is_touched(names: list[bytes]) -> None:
    assert asked_for(names) == [name for name in names if name in OFFLOADS]
