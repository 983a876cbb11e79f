"""The cache in front of a scripted origin, tested by the sentences of RFC 9110, 9111, 9211, 9213 and 5861."""

from collections.abc import Iterator

import pytest

from tests.loopback.http.cache_probes.probes import PROBES
from tests.loopback.http.cache_probes.probing import Probe
from tests.loopback.http.cache_probes.running import Laboratory
from tests.loopback.http.proxied import proxy_process, raw_origin


@pytest.fixture(scope="module")
def faults() -> Iterator[dict[str, list[str]]]:
    laboratory = Laboratory(PROBES)
    with raw_origin(laboratory.answer) as origin, proxy_process("--origin", origin.base, "--name", "lab7") as proxy:
        yield laboratory.run_all(proxy.port)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.label)
def test_the_cache(probe: Probe, faults: dict[str, list[str]]) -> None:
    assert faults[probe.label] == []


def test_no_two_probes_have_one_name() -> None:
    assert len({probe.label for probe in PROBES}) == len(PROBES)
