"""Accounts file: users, passwords, lists and forwards."""

from pathlib import Path

import pytest

from lab7.services.errors import ServiceError
from lab7.services.mail.accounts import Account, Accounts, Forward, Known, MailingList, hash_password
from lab7.services.mail.address import Mailbox

HASHED = hash_password("open sesame", b"0123456789abcdef")
TEXT = f"""
# the lab
alice:correct horse:1000
bob@example.org:{HASHED}
carol:x:0:hold
staff: alice, bob@example.org
dave => dave@example.net
erin -> erin@example.net
"""


def accounts() -> Accounts:
    return Accounts(TEXT, ["Example.com", "example.org"])


def test_names_are_found_in_their_domains_in_any_case() -> None:
    known = accounts()
    assert known.find("ALICE", "EXAMPLE.COM") == Account("alice", "example.com", 1000)
    assert known.find("alice") == Account("alice", "example.com", 1000)
    assert known.find("alice", "example.org") == Account("alice", "example.org", 1000)
    assert known.find("bob", "example.org") == Account("bob", "example.org")
    assert known.find("bob", "example.com") is None
    assert known.find("alice", "example.net") is None
    assert known.find("carol") == Account("carol", "example.com", None, held=True)


def test_lists_and_forwards() -> None:
    known = accounts()
    assert known.find("staff") == MailingList("staff", (Mailbox("alice", ""), Mailbox("bob", "example.org")))
    assert known.find("dave") == Forward("dave", Mailbox("dave", "example.net"))
    assert known.find("erin") == Forward("erin", Mailbox("erin", "example.net"), moved=True)
    assert not known.exists("staff")
    assert known.exists("alice")


LOOPS = """
alice:x
staff: ghosts
Ghosts: staff, staff@example.org
here => there@example.com
there@example.com => HERE@example.com
self: self
half: self, alice
long: half
back: alice, back
away => away@example.net
gone -> self@example.com
leaver => gone@example.com
wrong => nobody@example.com
"""


def test_loops_are_the_aliases_that_lead_only_to_each_other() -> None:
    known = Accounts(LOOPS, ["example.com", "example.org"])
    assert [loop.name for loop in known.loops] == ["staff", "Ghosts", "here", "there@example.com", "self"]


def test_an_alias_of_one_address_is_followed_to_its_end() -> None:
    known = Accounts(LOOPS + "one: alice\ntwo => one@example.org\n", ["example.com", "example.org"])

    def end(name: str) -> Known | None:
        entry = known.find(name)
        assert entry is not None
        return known.follow(entry)

    assert end("two") == Account("alice", "example.com")
    assert end("leaver") == known.find("gone")
    assert end("long") == known.find("half")
    assert end("away") == known.find("away")
    assert end("here") == known.find("here")
    assert end("wrong") is None


def test_the_postmaster_is_always_there_and_logs_in_only_with_a_line_of_its_own() -> None:
    assert accounts().exists("PostMaster", "example.org")
    assert accounts().check("postmaster", "") is None


def test_passwords() -> None:
    known = accounts()
    assert known.check("alice", "correct horse") == Account("alice", "example.com", 1000)
    assert known.check("Alice@Example.org", "correct horse") == Account("alice", "example.org", 1000)
    assert known.check("bob@example.org", "open sesame") == Account("bob", "example.org")
    for user, password in (("alice", "correct"), ("alice", ""), ("bob", "open sesame"), ("nobody", "x"), ("", "")):
        assert known.check(user, password) is None
    assert known.check("staff", "") is None


def test_only_a_password_that_is_written_down_is_given_for_challenges() -> None:
    known = accounts()
    found = known.plain_password("alice")
    assert found is not None
    assert found[1] == "correct horse"
    assert known.plain_password("bob@example.org") is None
    assert known.plain_password("nobody") is None


def test_a_mailbox_is_below_the_root() -> None:
    assert Account("alice", "example.com").directory(Path("/m")) == Path("/m/example.com/alice")


def test_users_in_every_domain_that_they_are_in() -> None:
    names = [str(one.mailbox) for one in accounts().users()]
    assert names == [
        "alice@example.com", "alice@example.org", "bob@example.org", "carol@example.com", "carol@example.org"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "alice", "alice:", "../x:p", "a/b:p", ".hidden:p", "a..b:p", "alice:p:many", "alice:p:1:frozen",
        "alice@elsewhere.example:p", "alice:p\nalice:q", "x:scrypt$1$2", "x:scrypt$40$8$1$AA==$AA==",
        "x => nowhere", "x -> a@b@", "l: a b", "x:scrypt$19$8$1$AA==$AA==",
    ],
)  # fmt: skip
def test_a_line_that_is_wrong_is_named(line: str) -> None:
    with pytest.raises(ServiceError, match=r"line \d"):
        Accounts(line, ["example.com"])


def test_a_file_or_a_domain_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="cannot read"):
        Accounts.load(tmp_path / "none", ["example.com"])
    with pytest.raises(ServiceError, match="--domain"):
        Accounts("", ["exa mple"])
