"""Format of a host's hosts(5), resolv.conf(5) and nsswitch.conf(5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.topologies.emulation import etc_files

PAIRS = [("10.0.0.1", ["client"]), ("10.0.0.2", ["www.example.com", "origin"])]
ENTRIES = etc_files.listed(PAIRS)


def test_hosts_begins_with_the_loopback_and_has_one_line_an_address() -> None:
    assert etc_files.hosts_text("client", ENTRIES) == (
        "127.0.0.1 localhost\n10.0.0.1 client\n10.0.0.2 www.example.com origin\n"
    )


def test_a_host_that_nobody_listed_still_finds_itself() -> None:
    assert etc_files.hosts_text("client", etc_files.listed([])) == "127.0.0.1 localhost\n127.0.1.1 client\n"


def test_a_name_within_another_name_is_not_the_host_itself() -> None:
    assert etc_files.hosts_text("client", etc_files.listed([("10.0.0.9", ["client2"])])).endswith("127.0.1.1 client\n")


def test_resolv_names_every_resolver_in_order() -> None:
    text = etc_files.resolv_text(["10.0.0.53", "10.0.0.54"])
    assert text == "nameserver 10.0.0.53\nnameserver 10.0.0.54\noptions timeout:2 attempts:2\n"


def test_without_a_resolver_a_look_up_ends_soon() -> None:
    assert etc_files.resolv_text([]) == "options timeout:1 attempts:1\n"


def test_nsswitch_keeps_the_machine_s_lines_but_for_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "nsswitch.conf"
    file.write_text(
        "passwd: files systemd\nhosts: files mymachines resolve [!UNAVAIL=return] dns\nservices: db files\n"
    )
    monkeypatch.setattr(etc_files, "NSSWITCH", file)
    assert etc_files.nsswitch_text() == "passwd: files systemd\nservices: db files\nhosts: files dns\n"


def test_nsswitch_on_a_machine_that_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etc_files, "NSSWITCH", tmp_path / "missing")
    assert etc_files.nsswitch_text() == "hosts: files dns\n"


def test_write_makes_the_four_files(tmp_path: Path) -> None:
    etc_files.write(tmp_path / "etc" / "client", "client", ENTRIES, ["10.0.0.53"])
    found = {path.name: path.read_text() for path in (tmp_path / "etc" / "client").iterdir()}
    assert set(found) == {"hosts", "resolv.conf", "nsswitch.conf", "hostname"}
    assert found["hostname"] == "client\n"
    assert found["resolv.conf"].startswith("nameserver 10.0.0.53\n")


def test_entries_change_and_go_in_place(tmp_path: Path) -> None:
    etc_files.write(tmp_path, "client", etc_files.listed([*PAIRS, ("2001:db8::2", ["www.example.com", "origin"])]), [])
    # As a host sees the file, by a bind mount.
    with open(tmp_path / "hosts") as shown:
        etc_files.add_entry(tmp_path, "10.0.0.3", ["origin"])
        etc_files.replace_address(tmp_path, "10.0.0.2", "10.9.9.9", ["www.example.com", "origin"])
        etc_files.replace_address(tmp_path, "10.0.0.1", "10.9.9.8", ["client2"])
        assert shown.read() == (
            "127.0.0.1 localhost\n10.0.0.1 client\n10.9.9.9 www.example.com origin\n"
            "2001:db8::2 www.example.com origin\n10.0.0.3 origin\n"
        )
        etc_files.remove_entries(tmp_path, ["www.example.com", "origin"])
        shown.seek(0)
        assert shown.read() == "127.0.0.1 localhost\n10.0.0.1 client\n10.0.0.3 origin\n"
