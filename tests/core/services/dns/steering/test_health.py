"""Health check: responses whole, octet by octet, truncated, endless, and other than HTTP."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.dns.steering.health import RESPONSE_OCTETS_MAX, CheckResult, HealthCheck, load_in
from tests.core.services.dns.steering.cdn_maps import address


def answered(octets: bytes, piece: int | None = None) -> CheckResult:
    """Return the result of a response received in pieces and followed by the end of the connection."""
    check = HealthCheck(address("10.8.1.10"), 80, "/lab7-status")
    check.request()
    size = piece or max(1, len(octets))
    for begin in range(0, len(octets), size):
        report = check.receive(octets[begin : begin + size])
        if report is not None:
            return report
    return check.end()


def test_the_request() -> None:
    octets = HealthCheck(address("10.8.1.10"), 80, "/lab7-status").request()
    assert octets.startswith(b"GET /lab7-status HTTP/1.1\r\nHost: 10.8.1.10\r\n")
    assert b"\r\nConnection: close\r\n" in octets
    assert b"Host: [::1]:8080\r\n" in HealthCheck(address("::1"), 8080, "/").request()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
LOAD = b'{"requests_under_way": 3}'


@pytest.mark.parametrize("piece", [None, 1, 7])
@pytest.mark.parametrize(
    ("octets", "healthy", "load"),
    [
        (OK % (len(LOAD), LOAD), True, 3.0),
        (OK % (len(LOAD), LOAD) + b"and more", True, 3.0),
        (OK % (2, b"ok"), True, None),
        (OK % (0, b""), True, None),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True, None),
        (b"HTTP/1.0 200 OK\r\n\r\n" + LOAD, True, 3.0),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n19\r\n" + LOAD + b"\r\n0\r\n\r\n", True, 3.0),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK % (2, b"ok"), True, None),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", False, None),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", False, None),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", False, None),
        (OK % (50, LOAD), False, None),
        (b"HTTP/1.1 200 OK\r\nContent-Le", False, None),
        (b"220 ftp.example.com FTP server ready\r\n\r\n", False, None),
        (b"\x00\xff\x00\r\n\r\n", False, None),
        (b"", False, None),
    ],
)
def test_results_of_responses(octets: bytes, healthy: bool, load: float | None, piece: int | None) -> None:
    report = answered(octets, piece)
    assert (report.healthy, report.load) == (healthy, load)
    assert report.detail


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
        b"x" * 10_000_000,
    ],
    ids=["body", "length", "head", "interim", "nonsense"],
)
def test_an_endless_response_is_a_failure(octets: bytes) -> None:
    check = HealthCheck(address("10.8.1.10"), 80, "/")
    check.request()
    for begin in range(0, len(octets), 4096):
        report = check.receive(octets[begin : begin + 4096])
        if report is not None:
            break
    assert begin <= RESPONSE_OCTETS_MAX
    assert report is not None
    assert not report.healthy


@pytest.mark.parametrize(
    ("content", "load"),
    [
        (b'{"requests_under_way": 0}', 0.0),
        (b'{"requests_per_s": 12.5}', 12.5),
        (b'{"load": 1, "requests_per_s": 12.5}', 1.0),
        (b'{"load": "many", "requests_per_s": 12.5}', 12.5),
        (b'{"load": true}', None),
        (b'{"load": -1}', None),
        (b'{"load": NaN}', None),
        (b'{"load": Infinity}', None),
        (b'{"load": 1e999}', None),
        (b'{"load": 1%s}' % (b"0" * 400), None),
        (b'{"load": 1%s}' % (b"0" * 5000), None),
        (b"[3]", None),
        (b"3", None),
        (b"[" * 60_000, None),
        (b"\xff\xfe", None),
        (b"", None),
    ],
)
def test_the_load_in_a_status(content: bytes, load: float | None) -> None:
    assert load_in(content) == load


@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_octets_are_anything_but_well_or_not(octets: bytes, piece: int) -> None:
    assert answered(octets, piece).healthy == answered(octets).healthy
