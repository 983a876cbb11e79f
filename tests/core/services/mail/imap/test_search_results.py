"""Results of SEARCH: RETURN options (RFC 4731, RFC 5267), the variable `$` (RFC 5182), OLDER and YOUNGER (RFC 5032)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.services.mail.maildir.delivery import NewMessage
from lab7.services.mail.maildir.store import Maildir
from tests.core.services.mail.imap.transcripts import Client, mailbox

NOW = 1_000_000_000.0


def selected(tmp_path: Path, count: int = 5) -> Client:
    client = Client(mailbox(tmp_path, *(b"n%d" % number for number in range(count))))
    client.send(b"s SELECT INBOX\r\n")
    return client


@pytest.mark.parametrize(
    ("command", "response"),
    [
        ("SEARCH RETURN () 1:3", b'* ESEARCH (TAG "a") ALL 1:3'),
        ("SEARCH RETURN (MIN MAX COUNT) 2:4", b'* ESEARCH (TAG "a") MIN 2 MAX 4 COUNT 3'),
        ("SEARCH RETURN (COUNT) 9", b'* ESEARCH (TAG "a") COUNT 0'),
        ("SEARCH RETURN (PARTIAL 4:2) ALL", b'* ESEARCH (TAG "a") PARTIAL (2:4 2:4)'),
        ("SEARCH RETURN (PARTIAL 1:9) ALL", b'* ESEARCH (TAG "a") PARTIAL (1:9 1:5)'),
        ("SEARCH RETURN (PARTIAL 7:9) ALL", b'* ESEARCH (TAG "a") PARTIAL (7:9 NIL)'),
    ],
)
def test_results_as_the_options_request(tmp_path: Path, command: str, response: bytes) -> None:
    assert selected(tmp_path).send(b"a %b\r\n" % command.encode()).splitlines()[0] == response


@pytest.mark.parametrize("options", ["PARTIAL 1", "PARTIAL 1:*", "PARTIAL *:1", "PARTIAL 0:1", "PARTIAL 1:2 ALL", "X"])
def test_malformed_options_are_bad(tmp_path: Path, options: str) -> None:
    assert selected(tmp_path).send(b"a SEARCH RETURN (%b) ALL\r\n" % options.encode()).startswith(b"a BAD")


def test_a_saved_result_is_the_message_set_of_later_commands(tmp_path: Path) -> None:
    client = selected(tmp_path)
    client.play(
        r"""
        C: a SEARCH RETURN (SAVE) 2:3
        S: a OK Search completed.
        C: b FETCH $ UID
        S: * 2 FETCH (UID 2)
        S: * 3 FETCH (UID 3)
        S: b OK Fetch completed.
        C: c STORE $ +FLAGS.SILENT \\Deleted
        S: c OK Store completed.
        C: d SEARCH OR UID $ 5
        S: * SEARCH 2 3 5
        S: d OK Search completed.
        C: e UID SEARCH RETURN (SAVE MIN COUNT) $
        S: * ESEARCH (TAG "e") UID MIN 2 COUNT 2
        S: e OK Search completed.
        C: f SEARCH RETURN (SAVE MIN MAX) ALL
        S: * ESEARCH (TAG "f") MIN 1 MAX 5
        S: f OK Search completed.
        C: g FETCH $ UID
        S: * 1 FETCH (UID 1)
        S: * 5 FETCH (UID 5)
        S: g OK Fetch completed.
        """
    )


def test_an_expunged_message_leaves_the_saved_result(tmp_path: Path) -> None:
    client = selected(tmp_path)
    client.send(b"a SEARCH RETURN (SAVE) 2:3\r\nb STORE 2 +FLAGS.SILENT \\Deleted\r\nc EXPUNGE\r\n")
    client.play(
        """
        C: d FETCH $ UID
        S: * 2 FETCH (UID 3)
        S: d OK Fetch completed.
        C: e UID COPY $ INBOX
        S: * 5 EXISTS
        S: * 5 RECENT
        S: e OK [COPYUID {validity} 3 6] Copy completed.
        """
    )


@pytest.mark.parametrize(
    ("command", "fetched"),
    [
        (b"x SELECT INBOX\r\n", 0),
        (b"x SEARCH RETURN (SAVE) CHARSET X ALL\r\n", 0),
        (b"x SEARCH RETURN (SAVE) NONSENSE\r\n", 2),
        (b"x SEARCH ALL\r\n", 2),
    ],
    ids=["SELECT", "NO", "BAD", "without SAVE"],
)
def test_what_empties_the_saved_result(tmp_path: Path, command: bytes, fetched: int) -> None:
    client = selected(tmp_path)
    client.send(b"a SEARCH RETURN (SAVE) 2:3\r\n" + command)
    assert client.send(b"b FETCH $ UID\r\n").count(b" FETCH (UID ") == fetched


def test_changes_of_a_result_are_notified_until_cancelled(tmp_path: Path) -> None:
    client = selected(tmp_path)
    client.play(
        r"""
        C: q SEARCH RETURN (UPDATE ALL) SEEN
        S: * ESEARCH (TAG "q")
        S: q OK Search completed.
        C: u UID SEARCH RETURN (UPDATE COUNT) NOT SEEN
        S: * ESEARCH (TAG "u") UID COUNT 5
        S: u OK Search completed.
        C: a STORE 1,3:4 +FLAGS.SILENT \\Seen
        S: * ESEARCH (TAG "q") ADDTO (0 1,3:4)
        S: * ESEARCH (TAG "u") UID REMOVEFROM (0 1,3:4)
        S: a OK Store completed.
        C: b STORE 3 -FLAGS.SILENT (\\Seen)
        S: * ESEARCH (TAG "q") REMOVEFROM (0 3)
        S: * ESEARCH (TAG "u") UID ADDTO (0 3)
        S: b OK Store completed.
        C: c STORE 3:4 +FLAGS.SILENT \\Deleted
        S: c OK Store completed.
        C: d EXPUNGE
        S: * ESEARCH (TAG "q") REMOVEFROM (0 4)
        S: * ESEARCH (TAG "u") UID REMOVEFROM (0 3)
        S: * 4 EXPUNGE
        S: * 3 EXPUNGE
        S: * 3 RECENT
        S: d OK Expunge completed.
        C: e CANCELUPDATE "q" "u"
        S: e OK No further updates.
        C: f STORE 2 +FLAGS.SILENT \\Seen
        S: f OK Store completed.
        """
    )


def test_arriving_messages_are_added_to_a_result(tmp_path: Path) -> None:
    client = selected(tmp_path, 1)
    client.send(b"q SEARCH RETURN (UPDATE) UNSEEN\r\n")
    client.maildir.deliver(b"Subject: x\r\n\r\n")
    assert b'* 2 EXISTS\r\n* 2 RECENT\r\n* ESEARCH (TAG "q") ADDTO (0 2)\r\n' in client.send(b"n NOOP\r\n")


def test_too_many_notified_searches_are_refused(tmp_path: Path) -> None:
    client = selected(tmp_path)
    for number in range(16):
        assert b"NOUPDATE" not in client.send(b"t%d SEARCH RETURN (UPDATE) ALL\r\n" % number)
    assert b't16 OK [NOUPDATE "t16"] ' in client.send(b"t16 SEARCH RETURN (UPDATE) ALL\r\n")


def test_older_and_younger_compare_with_the_clock(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path / "maildir", wall_clock=lambda: NOW)
    maildir.folder("INBOX").append([NewMessage(b"a", date=NOW - age_s) for age_s in (3600, 60, 0)], [frozenset()] * 3)
    client = Client(maildir)
    client.send(b"s SELECT INBOX\r\n")
    assert client.send(b"a SEARCH YOUNGER 60\r\n").splitlines()[0] == b"* SEARCH 2 3"
    assert client.send(b"b SEARCH OLDER 60\r\n").splitlines()[0] == b"* SEARCH 1 2"
    assert client.send(b"c SEARCH OLDER 0\r\n").startswith(b"c BAD")
