"""Ladders of captures of other programs' sessions (captures/README.md): tshark's messages, and no traceback."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from lab7.experiments.harness.cli import lab7
from tests.core.experiments.ladder.tshark import compared, needs_tshark

FOLDER = Path(__file__).parent / "captures"
CAPTURES = sorted(path.name for path in FOLDER.glob("*.pcap*"))
CUT_SHORT = "file-ends-early-smtp.pcap"
BYTES_MAX = 30_000


def ladder(*words: object) -> Result:
    return CliRunner().invoke(lab7, ["ladder", *map(str, words)], catch_exceptions=False)


@needs_tshark
@pytest.mark.parametrize("name", CAPTURES)
def test_the_messages_are_those_that_tshark_reads(name: str) -> None:
    ours, theirs = compared(FOLDER / name)
    assert ours == theirs
    assert any(theirs.values())


@pytest.mark.parametrize("name", CAPTURES)
def test_a_ladder_of_each_form_is_drawn(name: str) -> None:
    drawn = [ladder("--tcp", FOLDER / name, "--format", form) for form in ("text", "svg", "mermaid")]
    assert [done.exit_code for done in drawn] == [0, 0, 0]
    text, svg, mermaid = (done.stdout for done in drawn)
    assert "sent, ms" in text
    ElementTree.fromstring(svg)
    assert mermaid.count("->>") >= 2


def test_they_are_small_and_each_protocol_and_shape_is_there() -> None:
    assert len(CAPTURES) >= 15
    assert all((FOLDER / name).stat().st_size < BYTES_MAX for name in CAPTURES)
    words = {word for name in CAPTURES for word in name.partition(".")[0].split("-")}
    assert words >= {"http1", "http2", "dns", "smtp", "ftp", "imap", "pop3"}
    assert words >= {"retransmissions", "order", "vlan", "ipv6", "early", "snaplen"}
    described = (FOLDER / "README.md").read_text()
    assert [name for name in CAPTURES if f"`{name}`" not in described] == []


def test_programs_of_one_host_are_columns_of_their_own() -> None:
    done = ladder(FOLDER / "http1-curl-nginx.pcap", "--first", 2)
    assert done.stdout.splitlines()[0].split() == ["sent,", "ms", "127.0.0.1", "127.0.0.1:80"]
    assert "GET / --" in done.stdout
    assert "[::1]:80" in ladder(FOLDER / "ipv6-http.pcap", "--first", 2).stdout


def test_a_file_that_ends_early_is_drawn_up_to_there_and_told() -> None:
    done = ladder(FOLDER / CUT_SHORT)
    assert "is truncated: it ends after packet 22" in done.stderr
    assert "Only the 22 packets before that are read." in done.stderr
    assert "QUIT" in done.stdout


def test_a_file_that_ends_early_is_judged_up_to_there_and_told() -> None:
    done = CliRunner().invoke(lab7, ["judge", str(FOLDER / CUT_SHORT)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "is truncated: it ends after packet 22" in done.stderr
    assert "22 frames" in done.stdout
