"""The topology dns with signed zones: the local server validates what is signed (RFC 4035)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from lab7.topologies.dns import DnsTopo
from lab7.topologies.emulation.testbed import Testbed


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    with Testbed(DnsTopo(scale=0.1, clients=1, dnssec="yes")) as running:
        yield running


@pytest.mark.parametrize(
    ("question", "secure"),
    [("www.example.com A", True), ("www.shop.org A", True), ("none.example.com A", True), ("www.bookshop.uk A", False)],
)
def test_signed_zones_are_validated_and_the_unsigned_one_is_insecure(bed: Testbed, question: str, secure: bool) -> None:
    if shutil.which("dig") is None:
        pytest.skip("dig is not installed")
    done = bed.host("client").run(["dig", "+dnssec", *question.split()])
    flags = done.stdout.decode().partition(";; flags: ")[2].partition(";")[0].split()
    assert ("ad" in flags) == secure


def test_recursive_servers_cannot_be_combined_with_signed_zones() -> None:
    with pytest.raises(ValueError, match="needs mode=iterative"):
        DnsTopo(mode="recursive", dnssec="yes")
