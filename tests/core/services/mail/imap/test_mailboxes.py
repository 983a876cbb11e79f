"""Commands on mailboxes (RFC 3501 section 6.3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.services.mail.imap.session_state import State
from tests.core.services.mail.imap.transcripts import Client, mailbox


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(mailbox(tmp_path, b"one", b"two"))


def test_select_tells_all_that_a_client_needs(client: Client) -> None:
    client.play("""
        C: a SELECT inbox
        S: * FLAGS (\\\\Seen \\\\Answered \\\\Flagged \\\\Deleted \\\\Draft)
        S: * OK [PERMANENTFLAGS (\\\\Seen \\\\Answered \\\\Flagged \\\\Deleted \\\\Draft \\\\*)] ...
        S: * 2 EXISTS
        S: * 2 RECENT
        S: * OK [UNSEEN 1] ...
        S: * OK [UIDVALIDITY {validity}] ...
        S: * OK [UIDNEXT 3] ...
        S: * OK [MAILBOXID (...)] ...
        S: * OK [HIGHESTMODSEQ {highest}] ...
        S: a OK [READ-WRITE] ...
    """)
    assert client.found["validity"] == client.maildir.folder("INBOX").uidvalidity
    assert client.session.state is State.SELECTED


def test_only_the_first_session_finds_a_message_recent(client: Client) -> None:
    assert b"* 2 RECENT" in client.send(b"a EXAMINE INBOX\r\n")
    assert b"* 2 RECENT" in client.send(b"b SELECT INBOX\r\n")
    assert b"* 0 RECENT" in Client(client.maildir).send(b"a SELECT INBOX\r\n")


def test_a_mailbox_that_cannot_be_selected_leaves_none_selected(client: Client) -> None:
    client.send(b"a SELECT INBOX\r\n")
    client.play("""
        C: b SELECT nowhere
        S: * OK [CLOSED] ...
        S: b NO [NONEXISTENT] ...
        C: c FETCH 1 FLAGS
        S: c BAD ...
    """)


def test_create_list_and_delete(client: Client) -> None:
    client.play("""
        C: a CREATE Work/2026/
        S: a OK ...
        C: b CREATE Work/2026
        S: b NO [ALREADYEXISTS] ...
        C: c CREATE iNbOx
        S: c NO ...
        C: d LIST "" *
        S: * LIST (\\\\HasNoChildren) "/" INBOX
        S: * LIST (\\\\Noselect \\\\HasChildren) "/" Work
        S: * LIST (\\\\HasNoChildren) "/" Work/2026
        S: d OK ...
        C: e LIST "" %
        S: * LIST (\\\\HasNoChildren) "/" INBOX
        S: * LIST (\\\\Noselect \\\\HasChildren) "/" Work
        S: e OK ...
        C: f LIST Work/ %
        S: * LIST (\\\\HasNoChildren) "/" Work/2026
        S: f OK ...
        C: g LIST "" inbox
        S: * LIST (\\\\HasNoChildren) "/" INBOX
        S: g OK ...
        C: h LIST "" ""
        S: * LIST (\\\\Noselect) "/" ""
        S: h OK ...
        C: i DELETE Work
        S: i NO ...
        C: j DELETE Work/2026
        S: j OK ...
        C: k DELETE INBOX
        S: k NO ...
        C: l LIST "" W*
        S: l OK ...
    """)


def test_a_mailbox_with_others_below_becomes_a_place_without_messages(client: Client) -> None:
    client.play("""
        C: a CREATE up
        S: a OK ...
        C: b CREATE up/down
        S: b OK ...
        C: c DELETE up
        S: c OK ...
        C: d LIST "" up*
        S: * LIST (\\\\Noselect \\\\HasChildren) "/" up
        S: * LIST (\\\\HasNoChildren) "/" up/down
        S: d OK ...
        C: e SELECT up
        S: e NO ...
    """)


def test_names_are_quoted_where_they_have_to_be(client: Client) -> None:
    client.play("""
        C: a CREATE "two words"
        S: a OK ...
        C: b CREATE nil
        S: b OK ...
        C: c CREATE a\\\\.b]
        S: c BAD ...
        C: d CREATE a.b]
        S: d OK ...
        C: e LIST "" *
        S: * LIST (\\\\HasNoChildren) "/" INBOX
        S: * LIST (\\\\HasNoChildren) "/" a.b]
        S: * LIST (\\\\HasNoChildren) "/" "nil"
        S: * LIST (\\\\HasNoChildren) "/" "two words"
        S: e OK ...
    """)


@pytest.mark.parametrize(
    "name", ["../x", "..", "a/../../b", "&AC8-etc", ".x", "~root", "a/.", "a//b", "/a", "", "&", "&Jjo"]
)
def test_no_name_leads_out_of_the_mailbox(client: Client, name: str, tmp_path: Path) -> None:
    answer = client.send(f'a CREATE "{name}"\r\n'.encode())
    assert answer.startswith((b"a OK", b"a NO"))
    assert [path.name for path in tmp_path.iterdir()] == ["maildir"]
    if answer.startswith(b"a OK"):
        assert client.send(f'b SELECT "{name}"\r\n'.encode()).endswith(b"b OK [READ-WRITE] Selected.\r\n")


@pytest.mark.parametrize("name", ["Entw&APw-rfe", "&U,BTFw-", "R&-D", "&2D3c3A-"])
def test_names_in_modified_utf7(client: Client, name: str) -> None:
    client.play(f"""
        C: a CREATE {name}
        S: a OK ...
        C: b LIST "" {name}
        S: * LIST (\\\\HasNoChildren) "/" {name}
        S: b OK ...
    """)


def test_rename_takes_what_is_below_along(client: Client) -> None:
    client.play("""
        C: a CREATE old/sub
        S: a OK ...
        C: b RENAME old new/home
        S: b OK ...
        C: c LIST "" n*
        S: * LIST (\\\\Noselect \\\\HasChildren) "/" new
        S: * LIST (\\\\Noselect \\\\HasChildren) "/" new/home
        S: * LIST (\\\\HasNoChildren) "/" new/home/sub
        S: c OK ...
        C: d RENAME nowhere else
        S: d NO ...
        C: e CREATE taken
        S: e OK ...
        C: f RENAME new/home/sub taken
        S: f NO [ALREADYEXISTS] ...
        C: g RENAME taken taken/below
        S: g NO ...
    """)


def test_renaming_inbox_moves_its_messages(client: Client) -> None:
    client.play("""
        C: a RENAME INBOX 2025
        S: a OK ...
        C: b STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 0)
        S: b OK ...
        C: c STATUS 2025 (MESSAGES UIDNEXT)
        S: * STATUS 2025 (MESSAGES 2 UIDNEXT 3)
        S: c OK ...
    """)


def test_subscriptions_outlive_their_mailboxes(client: Client) -> None:
    client.play("""
        C: a CREATE a/b
        S: a OK ...
        C: b SUBSCRIBE a/b
        S: b OK ...
        C: c SUBSCRIBE nowhere
        S: c NO ...
        C: d DELETE a/b
        S: d OK ...
        C: e LSUB "" *
        S: * LSUB () "/" a/b
        S: e OK ...
        C: f LSUB "" %
        S: * LSUB (\\\\Noselect) "/" a
        S: f OK ...
        C: g UNSUBSCRIBE a/b
        S: g OK ...
        C: h LSUB "" *
        S: h OK ...
    """)


def test_status_leaves_what_is_recent(client: Client) -> None:
    client.play("""
        C: a STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)
        S: * STATUS INBOX (MESSAGES 2 RECENT 2 UIDNEXT 3 UIDVALIDITY {validity} UNSEEN 2)
        S: a OK ...
        C: b STATUS INBOX (RECENT)
        S: * STATUS INBOX (RECENT 2)
        S: b OK ...
        C: c STATUS nowhere (RECENT)
        S: c NO ...
        C: d STATUS INBOX (BOGUS)
        S: d BAD ...
        C: e STATUS INBOX ()
        S: e BAD ...
    """)


def test_status_of_the_selected_mailbox_counts_what_is_recent_to_this_session(client: Client) -> None:
    r"""RFC 3501 sections 2.3.2 and 6.3.10: in other sessions the messages are not \Recent any more."""
    other = Client(client.maildir)
    client.send(b"a SELECT INBOX\r\n")
    client.play("""
        C: b STATUS INBOX (RECENT)
        S: * STATUS INBOX (RECENT 2)
        S: b OK ...
    """)
    other.play("""
        C: a STATUS INBOX (RECENT)
        S: * STATUS INBOX (RECENT 0)
        S: a OK ...
    """)


def test_a_mailbox_made_again_has_a_larger_uidvalidity(client: Client) -> None:
    found = []
    for _ in range(3):
        client.play("""
            C: a CREATE again
            S: a OK ...
            C: b STATUS again (UIDVALIDITY)
            S: * STATUS again (UIDVALIDITY {validity})
            S: b OK ...
            C: c DELETE again
            S: c OK ...
        """)
        found.append(client.found["validity"])
    assert found == sorted(set(found))


def test_namespace(client: Client) -> None:
    client.play("""
        C: a NAMESPACE
        S: * NAMESPACE (("" "/")) NIL NIL
        S: a OK ...
    """)


def test_deleting_the_selected_mailbox_ends_its_selection_and_other_sessions(client: Client) -> None:
    client.send(b"a CREATE box\r\nb SELECT box\r\n")
    other = Client(client.maildir)
    other.send(b"a SELECT box\r\n")
    client.play("""
        C: c DELETE box
        S: c OK ...
        C: d FETCH 1 ALL
        S: d BAD ...
    """)
    other.play("""
        C: b NOOP
        S: * BYE ...
    """)
    assert other.session.ended


def test_list_extended_with_subscriptions_and_children(client: Client) -> None:
    client.send(
        b"a CREATE Work/2026\r\nb CREATE Home\r\nc SUBSCRIBE Work/2026\r\nd SUBSCRIBE Home\r\ne DELETE Home\r\n"
    )
    client.play("""
        C: a LIST (SUBSCRIBED) "" "*"
        S: * LIST (\\\\Noselect \\\\NonExistent \\\\Subscribed \\\\HasNoChildren) "/" Home
        S: * LIST (\\\\Subscribed \\\\HasNoChildren) "/" Work/2026
        S: a OK ...
        C: b LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"
        S: * LIST (\\\\Noselect \\\\NonExistent \\\\Subscribed \\\\HasNoChildren) "/" Home
        S: * LIST (\\\\Noselect \\\\NonExistent \\\\HasChildren) "/" Work ("CHILDINFO" ("SUBSCRIBED"))
        S: b OK ...
        C: c LIST "" ("INBOX" "Work/%") RETURN (SUBSCRIBED CHILDREN)
        S: * LIST (\\\\HasNoChildren) "/" INBOX
        S: * LIST (\\\\Subscribed \\\\HasNoChildren) "/" Work/2026
        S: c OK ...
        C: d LIST () "" INBOX RETURN ()
        S: * LIST (\\\\HasNoChildren) "/" INBOX
        S: d OK ...
        C: e LIST (RECURSIVEMATCH) "" "*"
        S: e BAD ...
        C: f LIST (NEWEST) "" "*"
        S: f BAD ...
        C: g LIST "" "*" RETURN (NEWEST)
        S: g BAD ...
        C: h LIST "" "*" AGAIN (CHILDREN)
        S: h BAD ...
    """)


def test_list_with_status_asks_once_for_all_mailboxes(client: Client) -> None:
    client.send(b"a CREATE Work/2026\r\n")
    client.play("""
        C: a LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN) CHILDREN)
        S: * LIST (\\\\HasNoChildren) "/" INBOX
        S: * STATUS INBOX (MESSAGES 2 UNSEEN 2)
        S: * LIST (\\\\Noselect \\\\NonExistent \\\\HasChildren) "/" Work
        S: * LIST (\\\\HasNoChildren) "/" Work/2026
        S: * STATUS Work/2026 (MESSAGES 0 UNSEEN 0)
        S: a OK ...
        C: b LIST "" "*" RETURN (STATUS (NOTHING))
        S: b BAD ...
    """)


def test_special_uses_are_told_by_the_names_of_mailboxes(client: Client) -> None:
    client.send(b"a CREATE Sent\r\nb CREATE Other/Sent\r\nc CREATE Trash/old\r\n")
    client.play("""
        C: a LIST (SPECIAL-USE) "" "*"
        S: * LIST (\\\\HasNoChildren \\\\Sent) "/" Sent
        S: a OK ...
        C: b LIST "" "%" RETURN (SPECIAL-USE)
        S: * LIST (\\\\HasNoChildren) "/" INBOX
        S: * LIST (\\\\Noselect \\\\NonExistent \\\\HasChildren) "/" Other
        S: * LIST (\\\\HasNoChildren \\\\Sent) "/" Sent
        S: * LIST (\\\\Noselect \\\\NonExistent \\\\HasChildren) "/" Trash
        S: b OK ...
    """)


def test_enable_is_answered_before_a_mailbox_is_selected(client: Client) -> None:
    client.play("""
        C: a ENABLE CONDSTORE X-SOMETHING
        S: * ENABLED CONDSTORE
        S: a OK ...
        C: b ENABLE
        S: b BAD ...
    """)
    client.send(b"c SELECT INBOX\r\n")
    client.play("""
        C: d ENABLE CONDSTORE
        S: d BAD A mailbox is selected already.
    """)
