"""Argument types of the service programs."""

import argparse
from collections.abc import Callable

import pytest

from lab7.services.flags import address, integer, network, octets, port, positive_integer, positive_seconds, seconds
from lab7.services.ftp import client as ftp_client
from lab7.services.ftp import server as ftp_server


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (octets, "0", 0),
        (positive_integer, "1", 1),
        (port, "0", 0),
        (port, "65535", 65_535),
        (integer(2, 4), "4", 4),
        (positive_seconds, "0.5", 0.5),
        (seconds(0.5, 2), "0.5", 0.5),
        (address, "2001:DB8::1", "2001:db8::1"),
    ],
)
def test_a_value_within_the_limits_is_parsed(parse: Callable[[str], object], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (octets, "-1", "expected a number of 0 or more"),
        (octets, "1.5", "expected a number of 0 or more"),
        (octets, "\u0663", "expected a number of 0 or more"),
        (positive_integer, "0", "expected a number of 1 or more"),
        (positive_integer, "9" * 5000, "expected a number of 1 or more"),
        (port, "65536", "expected a number from 0 to 65535"),
        (integer(2, 4), "1", "expected a number from 2 to 4"),
        (positive_seconds, "0", "expected a positive number of seconds"),
        (positive_seconds, "inf", "expected a positive number of seconds"),
        (positive_seconds, "nan", "expected a positive number of seconds"),
        (positive_seconds, "soon", "expected a positive number of seconds"),
        (seconds(0.5, 2), "2.1", "expected 0.5 to 2 seconds"),
        (network, "192.0.2.1/24", "invalid address or network"),
        (address, "localhost", "invalid address"),
    ],
)
def test_any_other_value_is_refused_with_the_expected_one(
    parse: Callable[[str], object], text: str, expected: str
) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=expected):
        parse(text)


@pytest.mark.parametrize(
    ("main", "argv"),
    [
        (ftp_client.main, ["localhost", "--port", "99999", "ls"]),
        (ftp_server.main, ["--root", ".", "--data-port", "-1"]),
    ],
)
def test_a_port_of_ftp_is_within_its_range(
    main: Callable[[list[str]], int], argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(argv)
    assert "expected a number from 0 to 65535" in capsys.readouterr().err
