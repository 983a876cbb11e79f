"""The cache in front of a scripted origin, tested by the sentences of RFC 9110, 9111, 9211, 9213 and 5861."""

from collections.abc import Iterator

import pytest

from tests.loopback.http.cache_probes.forwarding import OF_HTTP_1, OF_HTTP_2
from tests.loopback.http.cache_probes.over_http2 import is_expressible
from tests.loopback.http.cache_probes.probes import PROBES
from tests.loopback.http.cache_probes.probing import Probe
from tests.loopback.http.cache_probes.running import Laboratory
from tests.loopback.http.proxied import proxy_process, raw_origin

OVER_HTTP_2 = [probe for probe in (*PROBES, *OF_HTTP_2) if is_expressible(probe) and probe not in OF_HTTP_1]


@pytest.fixture(scope="module")
def faults() -> Iterator[dict[str, list[str]]]:
    yield from _found(Laboratory(PROBES))


@pytest.fixture(scope="module")
def faults_over_http2() -> Iterator[dict[str, list[str]]]:
    yield from _found(Laboratory(OVER_HTTP_2, version=2))


def _found(laboratory: Laboratory) -> Iterator[dict[str, list[str]]]:
    with raw_origin(laboratory.answer) as origin, proxy_process("--origin", origin.base, "--name", "lab7") as proxy:
        yield laboratory.run_all(proxy.port)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.label)
def test_the_cache(probe: Probe, faults: dict[str, list[str]]) -> None:
    assert faults[probe.label] == []


@pytest.mark.parametrize("probe", OVER_HTTP_2, ids=lambda probe: probe.label)
def test_the_cache_over_http2(probe: Probe, faults_over_http2: dict[str, list[str]]) -> None:
    assert faults_over_http2[probe.label] == []


def test_no_two_probes_have_one_name() -> None:
    assert len({probe.label for probe in PROBES}) == len(PROBES)
