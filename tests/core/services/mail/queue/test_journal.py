"""Journal of the queue: write and recover, torn and foreign records, removal and copying of segments."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.errors import ServiceError
from lab7.services.mail.address import Mailbox
from lab7.services.mail.queue import journal as module
from lab7.services.mail.queue.entry import Change, Entry, Recipient, decode_entry, encode_entry
from lab7.services.mail.queue.journal import CHANGE, ENTRY, Journal, encode_record, read_entries, scan_records, segments
from lab7.services.mail.smtp.syntax import MessageRequest, RecipientRequest, Reply

ANN, BOB = Mailbox("ann", "example.net"), Mailbox("b ob", "example.com")


def entry(number: int, content: bytes = b"Subject: x\r\n\r\nHello.\r\n") -> Entry:
    later = Reply(451, "later", "4.3.0", "mx.example.net")
    recipients = [
        Recipient(BOB, request=RecipientRequest("SUCCESS", "rfc822;b+2Bb")),
        Recipient(ANN, original=BOB, last=later),
    ]
    request = MessageRequest("HDRS", "id")
    return Entry(f"{number:x}", 1000.5 + number, ANN, recipients, len(content), content=content, request=request)


def ids(directory: Path) -> list[str]:
    return [one.id for one in read_entries(directory) if not one.is_final]


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    one, two = entry(1), replace(entry(2), reverse_path=None, is_8bit=True, content=b"\x1eL7Q\n\xff")
    places = journal.write([one, two], durable=True)
    assert places[0] is not None
    assert places[1] is not None
    assert journal.read(places[0]) == one.content
    assert journal.read(places[1]) == two.content
    journal.close()
    again = Journal(tmp_path)
    found = again.recover()
    assert [replace(item, content=None, place=None, may_be_delivered=False) for item in found] == [
        replace(item, content=None, size_octets=item.size_octets) for item in (one, two)
    ]
    assert [item.place for item in found] == places
    assert all(item.may_be_delivered for item in found)


def test_a_reply_without_its_server_is_read() -> None:
    """As written before 0.3.0."""
    line = encode_entry(entry(1)).replace(b',"mx.example.net"]', b"]")
    assert decode_entry(line).recipients[1].last == Reply(451, "later", "4.3.0")


def test_an_entry_without_dsn_requests_is_read() -> None:
    """As written before 0.4.0."""
    line = encode_entry(entry(1)).replace(b',"SUCCESS","rfc822;b+2Bb"]', b"]").replace(b',"",""]', b"]")
    line = line.replace(b',"request":["HDRS","id"]', b"")
    found = decode_entry(line)
    assert found.request == MessageRequest()
    assert [recipient.request for recipient in found.recipients] == [RecipientRequest()] * 2


def test_changes_are_applied_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write([entry(1), entry(2)], durable=True)
    journal.write([Change("1", (0,)), Change("2", (0, 1)), Change("1", (), {1: Reply(450, "x")}, 3, 2000.0)], False)
    (found,) = journal.recover()
    assert (found.id, found.open_recipients, found.tries, found.next_s) == ("1", [1], 3, 2000.0)
    assert found.recipients[1].last == Reply(450, "x")
    journal.write([Change("1", (1,))], False)
    assert journal.recover() == []


def test_one_process_has_a_queue(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    with pytest.raises(ServiceError, match="another process"):
        Journal(tmp_path)
    first.close()
    Journal(tmp_path).close()


def test_a_directory_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ServiceError, match="--queue"):
        Journal(tmp_path / "file")


@given(cut=st.integers(0, 2000), junk=st.binary(max_size=40))
def test_a_crash_costs_only_what_it_cut(tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes) -> None:
    directory = tmp_path_factory.mktemp("queue")
    journal = Journal(directory)
    places = journal.write([entry(number) for number in range(5)], durable=True)
    journal.close()
    ((_, path),) = segments(directory)
    octets = path.read_bytes()
    ends = [place.offset + place.size_octets for place in places if place is not None]
    cut = min(cut, ends[-1])
    path.write_bytes(octets[:cut] + junk)
    assert ids(directory) == [f"{number:x}" for number, end in enumerate(ends) if end <= cut]
    again = Journal(directory)
    again.write([entry(9)], durable=True)
    assert ids(directory)[-1] == "9"
    again.close()


def test_damage_in_the_middle_costs_one_record(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    places = journal.write([entry(number) for number in range(3)], durable=True)
    assert places[1] is not None
    ((_, path),) = segments(tmp_path)
    with open(path, "r+b") as file:
        file.seek(places[1].offset)
        file.write(b"?")
    assert ids(tmp_path) == ["0", "2"]


def test_segments_go_from_the_oldest_on_and_never_past_an_open_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEGMENT_OCTETS", 1)
    journal = Journal(tmp_path)
    places = [journal.write([entry(number)], durable=True)[0] for number in range(4)]
    numbers = [place.segment for place in places if place is not None]
    assert [number for number, _ in segments(tmp_path)] == numbers == [1, 2, 3, 4]
    journal.release(2)
    assert [number for number, _ in segments(tmp_path)] == [2, 3, 4]
    journal.release(None)
    assert [number for number, _ in segments(tmp_path)] == [4]


def test_a_long_idle_segment_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_SEGMENT_OCTETS", 1)
    journal = Journal(tmp_path)
    journal.write([entry(1)], durable=True)
    journal.release(None)
    assert segments(tmp_path) == []


def test_a_segment_that_somebody_removed_takes_no_more(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write([entry(1)], durable=True)
    segments(tmp_path)[0][1].unlink()
    journal.write([entry(2)], durable=True)
    assert ids(tmp_path) == ["2"]
    for path in tmp_path.iterdir():
        path.unlink()
    tmp_path.rmdir()
    with pytest.raises(FileNotFoundError):
        journal.write([entry(3)], durable=True)


@pytest.mark.parametrize("call", ["writev", "fdatasync"])
def test_what_fails_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    journal = Journal(tmp_path)
    journal.write([entry(1)], durable=True)
    real = getattr(os, call)

    def fail(*arguments: object) -> int:
        real(*arguments)
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="full"):
            journal.write([entry(2)], durable=True)
    journal.write([entry(3)], durable=True)
    assert ids(tmp_path) == ["1", "3"]


@given(
    st.lists(st.tuples(st.sampled_from([ENTRY, CHANGE]), st.binary(max_size=50)), max_size=8), st.binary(max_size=30)
)
def test_records_are_found_with_anything_behind_them(records: list[tuple[bytes, bytes]], junk: bytes) -> None:
    octets = b"".join(piece for kind, data in records for piece in encode_record(kind, data)) + junk
    assert [(found.kind, found.data) for found in scan_records(memoryview(octets))] == records


@given(st.binary(max_size=200))
def test_any_octets_are_no_records(octets: bytes) -> None:
    assert list(scan_records(memoryview(octets))) == []
