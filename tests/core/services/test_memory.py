"""Release of memory in service processes."""

import argparse
import array
import importlib
import mmap
import re
from pathlib import Path

import pytest

from lab7.services.memory import release_zero_pages

PAGES = 40
PROGRAMS = (
    "lab7.services.dns.authoritative",
    "lab7.services.dns.cdn",
    "lab7.services.dns.recursive",
    "lab7.services.dns.resolver",
    "lab7.services.ftp.server",
    "lab7.services.http.origin",
    "lab7.services.http.proxy",
    "lab7.services.mail.imap.__main__",
    "lab7.services.mail.mta",
    "lab7.services.mail.pop3.__main__",
    "lab7.services.mail.webmail.program",
)


def test_zero_pages_are_released_and_other_content_is_kept() -> None:
    # A type whose instances are PAGES pages long: slots are pointers inside of the object.
    names = [f"slot{number}" for number in range(PAGES * mmap.PAGESIZE // 8)]
    large = type("Large", (), {"__slots__": names})()
    kept = array.array("q", [7])
    setattr(large, names[mmap.PAGESIZE], kept)
    before_kib = _resident_kib(id(large))
    release_zero_pages(large)
    assert _resident_kib(id(large)) <= before_kib - (PAGES - 4) * mmap.PAGESIZE // 1024
    assert getattr(large, names[mmap.PAGESIZE]) is kept
    assert not hasattr(large, names[0])
    setattr(large, names[0], kept)
    assert getattr(large, names[0]) is kept


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_service_makes_its_parser_once(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The fork server runs --help; the services forked from it take over the parser instead of allocating their own.
    main = importlib.import_module(name).main
    with pytest.raises(SystemExit):
        main(["--help"])
    monkeypatch.setattr(argparse.ArgumentParser, "add_argument", None)
    with pytest.raises(SystemExit):
        main(["--help"])
    assert capsys.readouterr().out.count("--listen") >= 2


def test_a_small_object_is_left_alone() -> None:
    small = array.array("q", [0, 7])
    release_zero_pages(small)
    assert list(small) == [0, 7]


def _resident_kib(address: int) -> int:
    """Return the resident size of the mapping that holds an address; proc_pid_smaps(5)."""
    found = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if (limits := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)) is not None:
            found = int(limits[1], 16) <= address < int(limits[2], 16)
        elif found and line.startswith("Rss:"):
            return int(line.split()[1])
    raise AssertionError("no mapping holds the address")
