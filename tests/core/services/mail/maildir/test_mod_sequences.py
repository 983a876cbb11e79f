"""Mod-sequences of a folder (RFC 7162): they grow with every change, in any process, after kill -9 at any octet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab7.services.mail.maildir import mod_sequences
from lab7.services.mail.maildir.folder import Folder
from lab7.services.mail.maildir.mod_sequences import FILE
from lab7.services.mail.maildir.store import Maildir

SEEN = frozenset(("\\Seen",))


def inbox(path: Path, count: int = 0) -> Folder:
    """Return INBOX as a new process opens it, after `count` deliveries."""
    maildir = Maildir(path)
    for number in range(count):
        maildir.deliver(b"Subject: %d\r\n\r\n" % number)
    return recorded(maildir.folder("INBOX"))


def recorded(folder: Folder) -> Folder:
    folder.refresh()
    folder.record_changes()
    return folder


def sequences(folder: Folder) -> dict[int, int]:
    return {uid: folder.mod_sequences.of(uid) for uid in folder.uids}


def test_a_change_raises_the_mod_sequence_of_its_message_only(tmp_path: Path) -> None:
    folder = inbox(tmp_path, 3)
    before, highest = sequences(folder), folder.mod_sequences.highest
    folder.set_flags(2, SEEN)
    recorded(folder)
    after = sequences(folder)
    assert (after[1], after[3]) == (before[1], before[3])
    assert after[2] == folder.mod_sequences.highest > highest
    assert sequences(inbox(tmp_path)) == after


def test_a_change_by_another_program_is_observed(tmp_path: Path) -> None:
    folder = inbox(tmp_path, 1)
    folder.claim_recent()
    before = recorded(folder).mod_sequences.highest
    name = folder.messages[1].name
    os.rename(tmp_path / name, tmp_path / f"{name}F")
    assert recorded(folder).mod_sequences.of(1) > before


def test_removals_are_remembered_with_their_mod_sequences(tmp_path: Path) -> None:
    folder = inbox(tmp_path, 5)
    first = folder.mod_sequences.highest
    folder.expunge([2, 3])
    recorded(folder)
    second = folder.mod_sequences.highest
    folder.expunge([5])
    recorded(folder)
    for process in (folder, inbox(tmp_path)):
        assert process.mod_sequences.vanished_since(first) == [(2, 3), (5, 5)]
        assert process.mod_sequences.vanished_since(second) == [(5, 5)]
        assert process.mod_sequences.vanished_since(process.mod_sequences.highest) == []
        assert process.mod_sequences.vanished_since(0) is None


def test_a_removal_while_no_server_runs_is_observed(tmp_path: Path) -> None:
    folder = inbox(tmp_path, 2)
    known = folder.mod_sequences.highest
    os.unlink(tmp_path / folder.messages[1].name)
    assert inbox(tmp_path).mod_sequences.vanished_since(known) == [(1, 1)]


def test_two_processes_agree(tmp_path: Path) -> None:
    one = inbox(tmp_path, 2)
    two = inbox(tmp_path)
    one.set_flags(1, SEEN)
    recorded(one)
    two.set_flags(2, SEEN)
    recorded(two)
    recorded(one)
    assert sequences(one) == sequences(two) == sequences(inbox(tmp_path))
    assert one.mod_sequences.of(2) > one.mod_sequences.of(1)


def test_a_process_killed_at_any_octet_loses_no_change(tmp_path: Path) -> None:
    """Whatever part of the last record is on disk: a client that knows the state before it learns of every change."""
    folder = inbox(tmp_path, 4)
    known = folder.mod_sequences.highest
    size = (tmp_path / FILE).stat().st_size
    folder.set_flags(1, SEEN)
    folder.set_flags(3, frozenset(("\\Flagged",)))
    folder.expunge([2])
    recorded(folder)
    whole = (tmp_path / FILE).read_bytes()
    for end in range(size, len(whole) + 1):
        (tmp_path / FILE).write_bytes(whole[:end])
        after = inbox(tmp_path)
        assert after.mod_sequences.of(1) > known
        assert after.mod_sequences.of(3) > known
        assert after.mod_sequences.of(4) <= known
        assert after.mod_sequences.vanished_since(known) == [(2, 2)]
        again = inbox(tmp_path)
        assert sequences(again) == sequences(after)


@pytest.mark.parametrize("content", [None, b"", b"nonsense\n", b"lab7-modseq 1 5\nS 1 1 \n"])
def test_a_lost_or_damaged_record_restarts_above_what_clients_know(tmp_path: Path, content: bytes | None) -> None:
    folder = inbox(tmp_path, 2)
    known = folder.mod_sequences.highest
    (tmp_path / FILE).unlink()
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    after = inbox(tmp_path)
    assert after.mod_sequences.highest >= known
    # The record began a mod-sequence before `known`, perhaps in this very second.
    assert after.mod_sequences.vanished_since(known - 2) is None


def test_a_damaged_line_restarts_above_the_lines_before_it(tmp_path: Path) -> None:
    known = inbox(tmp_path, 2).mod_sequences.highest
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"S x y\n")
    assert inbox(tmp_path).mod_sequences.highest > known


def test_a_compacted_record_has_the_same_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mod_sequences, "MOD_SEQUENCE_LINES_MAX", 8)
    monkeypatch.setattr(mod_sequences, "VANISHED_MAX", 2)
    folder = inbox(tmp_path, 8)
    marks = []
    for uid in range(1, 6):
        marks.append(folder.mod_sequences.highest)
        folder.expunge([uid])
        recorded(folder)
    for _ in range(20):
        for flags in (SEEN, frozenset[str]()):
            folder.set_flags(7, flags)
            recorded(folder)
    assert len((tmp_path / FILE).read_bytes().splitlines()) < 20
    after = inbox(tmp_path)
    assert sequences(after) == sequences(folder)
    assert after.mod_sequences.highest == folder.mod_sequences.highest
    assert after.mod_sequences.vanished_since(marks[0]) is None
    assert after.mod_sequences.vanished_since(marks[3]) == [(4, 4), (5, 5)]


def test_flag_letters_of_other_programs_are_no_part_of_the_record(tmp_path: Path) -> None:
    folder = inbox(tmp_path, 1)
    folder.claim_recent()
    recorded(folder)
    name = folder.messages[1].name
    os.rename(tmp_path / name, tmp_path / f"{name}S x,\u00e9")
    recorded(folder)
    assert sequences(inbox(tmp_path)) == sequences(folder)
