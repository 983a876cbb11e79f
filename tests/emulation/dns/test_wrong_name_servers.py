"""Name servers with one fault each, in the place of lab7's: what the fault breaks is not shown, and the rest is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.emulation.wrong.support import Judged, judge, program

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    # Short ways; no claim of this one is about time.
    "dns-records": {"scale": 0.1, "queries": 12},
    "dns-resolution": {"scale": 0.3},
    "dns-caching": {"scale": 0.1, "queries": 30, "ttl": "0,1,3", "periods": 30},
}
FLAGS = {
    "authoritative": "--listen {address} --port {port} {zone_files}",
    "local": "--port {port} --root={root_address} --forward={forward} --cache={cache}",
}
NONE: set[str] = set()
slow = pytest.mark.slow


def judged(experiment: str, role: str, fault: str, cwd: Path) -> Judged:
    command = program("name_server.py", role, fault, FLAGS[role])
    return judge(experiment, {role: command}, SETTINGS[experiment], cwd)


def broken(found: Judged) -> set[str]:
    """The claims that the packets contradict, or cannot show.

    A server of these needs milliseconds for an answer, and other programs may take the processor away: that a time is
    off its theory is no fault that is looked for here.
    """
    return {claim for claim in found.not_shown() if "outside the tolerance" not in found.evidence[claim]}


RECORDS = [
    pytest.param("authoritative", "none", NONE, marks=slow),
    pytest.param("authoritative", "wrong-address", {"D2", "D4"}, marks=slow),
    pytest.param("authoritative", "wrong-customer", {"D15"}, marks=slow),
    pytest.param("authoritative", "wrong-ptr", {"D3"}, marks=slow),
    pytest.param("authoritative", "no-name-for-addresses", {"D3"}, marks=slow),
    pytest.param("authoritative", "flattened-alias", {"D4"}, marks=slow),
    pytest.param("authoritative", "swapped-preferences", {"D5"}, marks=slow),
    pytest.param("authoritative", "wrong-exchange", {"D5"}, marks=slow),
    pytest.param("authoritative", "no-rotation", {"D6"}, marks=slow),
    pytest.param("authoritative", "one-address-of-three", {"D6"}, marks=slow),
    pytest.param("authoritative", "no-authority", {"D15"}, marks=slow),
    pytest.param("authoritative", "wrong-server", {"D14", "D15"}, marks=slow),
    pytest.param("authoritative", "no-tcp", {"D1"}, marks=slow),
    # Its datagram comes in fragments of IP, which the judge does not put together: to it that is no DNS message, which
    # counts against all that the same traffic is evidence for.
    pytest.param("authoritative", "too-long", {"D1", "D14", "D15"}, marks=slow),
    pytest.param("authoritative", "needless-truncation", {"D1"}, marks=slow),
    pytest.param("authoritative", "other-text", {"D1"}, marks=slow),
    pytest.param("authoritative", "other-ttl", {"D14"}, marks=slow),
    pytest.param("local", "none", NONE, marks=slow),
    # Its answers are right; whose they are is not to be seen.
    ("local", "imagined", {"D14", "D15"}),
    pytest.param("local", "flattened-alias", {"D4"}, marks=slow),
    pytest.param("local", "no-rotation", {"D6"}, marks=slow),
    pytest.param("local", "no-tcp", {"D1"}, marks=slow),
]


@pytest.mark.parametrize(("role", "fault", "expected"), RECORDS)
def test_records(role: str, fault: str, expected: set[str], tmp_path: Path) -> None:
    found = judged("dns-records", role, fault, tmp_path)
    assert broken(found) == expected, found.evidence


RESOLUTION = [
    ("local", "none", NONE),
    ("local", "imagined", {"D7", "D8", "D9", "D10"}),
    ("local", "no-cache", {"D10"}),
    ("local", "recursion-desired", {"D8"}),
    ("local", "root-skipped", {"D7", "D8"}),
    ("local", "all-asked-first", {"D7", "D8"}),
    ("local", "no-recursion-offered", {"D7", "D9"}),
    ("local", "claims-authority", {"D10"}),
    ("local", "wrong-from-cache", {"D10"}),
    # What every way to the name ends at.
    ("authoritative", "wrong-address", {"D7", "D8", "D9", "D10"}),
    ("authoritative", "no-authority", {"D7", "D8", "D9"}),
]


@slow
@pytest.mark.parametrize(("role", "fault", "expected"), RESOLUTION)
def test_resolution(role: str, fault: str, expected: set[str], tmp_path: Path) -> None:
    found = judged("dns-resolution", role, fault, tmp_path)
    assert broken(found) == expected, found.evidence


CACHING = [
    ("local", "none", NONE),
    ("local", "imagined", {"D11", "D12", "D13"}),
    ("local", "no-cache", {"D11", "D12", "D13"}),
    ("local", "no-countdown", {"D11"}),
    ("local", "beyond-ttl", {"D11", "D13"}),
    ("local", "half-ttl", {"D11"}),
    ("local", "wrong-from-cache", {"D11", "D12", "D13"}),
    ("authoritative", "wrong-address", {"D12"}),
    ("authoritative", "other-ttl", {"D11", "D13"}),
    # What it goes on to say was replaced for longer than any TTL of it lasts.
    ("authoritative", "deaf-to-reload", {"D13"}),
]


@slow
@pytest.mark.parametrize(("role", "fault", "expected"), CACHING)
def test_caching(role: str, fault: str, expected: set[str], tmp_path: Path) -> None:
    found = judged("dns-caching", role, fault, tmp_path)
    assert broken(found) == expected, found.evidence
