"""Compose page without sockets: drafts, staged files, refused and repeated forms."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.forms import Form, FormFile
from lab7.services.http.messages import Response
from lab7.services.mail.address import Mailbox
from lab7.services.mail.agent.drafts import Attachment
from lab7.services.mail.agent.limits import ATTACHMENTS_MAX
from lab7.services.mail.maildir.delivery import NewMessage
from lab7.services.mail.message_content.contents import Contents
from lab7.services.mail.smtp.syntax import Reply
from lab7.services.mail.webmail.compose import staging as staging_module
from lab7.services.mail.webmail.compose.composition import FORM_FIELDS, Composition, ListedFile, MessageKey
from lab7.services.mail.webmail.compose.draft_message import decode_draft, encode_draft
from lab7.services.mail.webmail.compose.staging import DIRECTORY, Staging, StagingError
from lab7.services.mail.webmail.limits import COMPOSITION_OCTETS_MAX, COMPOSITIONS_OF_USER_MAX, STAGED_S
from lab7.services.mail.webmail.site import Admitted
from tests.core.services.mail.webmail.sites import World, text, value_of

ID = "0123456789abcdef" * 2
UNKNOWN_USER = Reply(550, "User unknown", "5.1.1")
FILE = FormFile("file", "ring.png", "image/png", b"\x89PNG" + bytes(range(256)))


@pytest.fixture
def alice(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.log_in()
    return world


def messages(world: World, name: str) -> list[EmailMessage]:
    """Return the messages in one of Alice's folders."""
    if not world.alice().exists(name):
        return []
    folder = world.alice().folder(name)
    folder.refresh()
    return [email.message_from_bytes(folder.read(uid), policy=email.policy.default) for uid in folder.uids]


def sent(world: World) -> EmailMessage:
    return email.message_from_bytes(world.submitted[-1].envelope.content, policy=email.policy.default)


def files_of(message: EmailMessage) -> list[tuple[str | None, bytes]]:
    return [(part.get_filename(), part.get_payload(decode=True)) for part in message.iter_attachments()]  # type: ignore[misc]


def keys_of(page: Response) -> list[str]:
    return re.findall(r'name="remove" value="([^"]*)"', text(page))


def original(world: World, *names: str) -> dict[str, object]:
    """Deliver a message with files to Alice; return its URL parameters."""
    message = EmailMessage(email.policy.SMTP)
    message["Subject"], message["From"], message["Message-ID"] = "Files", "bob@example.com", "<first@x>"
    message.set_content("See.\n")
    for name in names:
        message.add_attachment(name.encode(), maintype="application", subtype="octet-stream", filename=name)
    world.alice().deliver(bytes(message))
    folder = world.alice().folder("INBOX")
    folder.refresh()
    return {"folder": "INBOX", "uid": folder.uids[-1], "v": folder.uidvalidity}


def draft_link(world: World) -> str:
    """Return the link of the only message in the list of Drafts."""
    (href,) = re.findall(r'<a href="(/compose\?[^"]*uid=[^"]*)"', text(world.get("/folder", name="Drafts")))
    return str(href).replace("&amp;", "&")


def open_draft(world: World) -> Response:
    _, _, query = draft_link(world).partition("?")
    return world.compose(**dict(pair.split("=") for pair in query.split("&")))


# Each composition has a page of its own.


def test_a_new_message_has_its_own_url_and_takes_no_space_before_a_form_is_sent(alice: World) -> None:
    first, second = (value_of(alice.get("/compose", to="bob@example.com"), b"location") for _ in range(2))
    assert re.fullmatch(r"/compose\?id=[0-9a-f]{32}&to=bob%40example.com", first)
    assert first != second
    assert 'name="to" value="bob@example.com"' in text(alice.compose(to="bob@example.com"))
    assert not (alice.root / "example.com" / "alice" / DIRECTORY).exists()


@pytest.mark.parametrize("refused", [{"to": "nobody"}, {"to": ""}, {"to": "no@example.com"}, {"action": "attach"}])
def test_back_and_reload_show_the_refused_form_as_it_was_sent(alice: World, refused: dict[str, str]) -> None:
    alice.replies = [UNKNOWN_USER]
    values = {**refused, "cc": "", "subject": "A <b>", "text": "\n A long letter\n"}
    response = alice.post("/compose", [FILE], id=ID, **values)
    assert (response.status, value_of(response, b"location")) == (303, f"/compose?id={ID}")
    for _ in range(2):
        page = text(alice.follow(response))
        assert 'name="subject" value="A &lt;b&gt;"' in page
        assert f'name="to" value="{refused.get("to", "")}"' in page
        # The first line end after the tag is not part of the text.
        assert ">\n\n A long letter\n</textarea>" in page
        assert ("ring.png" in page, ('role="alert"' in page)) == (True, "action" not in refused)


def test_the_form_of_a_sent_message_sends_nothing_again(alice: World) -> None:
    values = {"id": ID, "to": "bob@example.com", "text": "Once"}
    assert value_of(alice.post("/compose", **values), b"location") == "/folder?name=INBOX"
    response = alice.post("/compose", **values)
    assert "has been sent already" in text(alice.follow(response))
    assert "Once" not in text(alice.get("/compose", id=ID))
    assert len(alice.submitted) == len(messages(alice, "Sent")) == 1


def test_a_double_click_sends_one_message(alice: World) -> None:
    """The second form arrives while the first is being sent."""
    fields = {"form_token": alice.form_token, "id": ID, "to": "bob@example.com", "text": "Once"}
    head = alice.head(b"POST", "/compose", {})
    admitted = alice.site.admit(head, "192.0.2.1", alice.now)
    assert isinstance(admitted, Admitted)
    first = alice.site.answer(admitted, Form(list(fields.items())))
    assert not isinstance(first, Response)
    first.send(None)
    assert alice.post("/compose", **fields).status == 303
    assert alice.submitted == []


def test_one_user_s_composition_is_not_another_s(alice: World) -> None:
    alice.post("/compose", id=ID, action="save", to="bob@example.com", subject="private")
    bob = World(alice.root)
    bob.log_in("bob", "hunter2")
    assert "private" not in text(bob.get("/compose", id=ID))


@pytest.mark.parametrize("odd", ["../" * 5 + "x", "a" * 31, "A" * 32, "0" * 33, "/etc/passwd", "\0" * 32])
def test_no_id_leads_out_of_the_staging_area(alice: World, odd: str) -> None:
    response = alice.post("/compose", [FILE], id=odd, action="attach", to="bob@example.com")
    assert re.fullmatch(r"/compose\?id=[0-9a-f]{32}", value_of(response, b"location"))
    assert alice.get("/compose", id=odd).status == 303


# Files.


def test_files_are_kept_over_errors_and_can_be_removed(alice: World) -> None:
    other = FormFile("file", "../notes.txt", "text/plain", b"Notes\n")
    alice.post("/compose", [FILE, other], id=ID, to="nobody", text="x")
    page = alice.get("/compose", id=ID)
    assert keys_of(page) == ["f1", "f2"]
    assert "notes.txt" in text(page)
    alice.post("/compose", [FormFile("file", "third", "", b"3")], id=ID, to="nobody", text="x", remove="f1")
    assert keys_of(alice.get("/compose", id=ID)) == ["f2", "f3"]
    assert alice.submitted == []
    assert alice.post("/compose", id=ID, to="bob@example.com", text="x").status == 303
    assert files_of(sent(alice)) == [("notes.txt", b"Notes\n"), ("third", b"3")]


def test_files_survive_a_restart(alice: World) -> None:
    alice.post("/compose", [FILE], id=ID, to="nobody", text="A long letter")
    again = World(alice.root, now=alice.now + 3600)
    again.log_in()
    assert "A long letter" in text(again.get("/compose", id=ID))
    again.post("/compose", id=ID, to="bob@example.com", text="A long letter")
    assert files_of(sent(again)) == [("ring.png", FILE.content)]


def test_a_composition_expires(alice: World) -> None:
    alice.post("/compose", [FILE], id=ID, to="nobody")
    directory = alice.root / "example.com" / "alice" / DIRECTORY / ID
    assert (directory / "f1").read_bytes() == FILE.content
    alice.now += STAGED_S + 1
    alice.log_in()
    assert keys_of(alice.get("/compose", id=ID)) == []
    assert not directory.exists()


def test_files_leave_the_disk_with_their_message(alice: World) -> None:
    directory = alice.root / "example.com" / "alice" / DIRECTORY / ID
    alice.post("/compose", [FILE], id=ID, to="nobody")
    alice.post("/compose", id=ID, to="nobody", remove="f1")
    assert not (directory / "f1").exists()
    alice.post("/compose", [FILE], id=ID, to="bob@example.com")
    assert len(alice.submitted) == 1
    assert not (directory / "f1").exists()
    alice.post("/compose", [FILE], id="a" * 32, action="attach", text="x")
    alice.post("/compose", id="a" * 32, action="discard", text="x")
    assert not (directory.parent / ("a" * 32)).exists()


def test_the_staging_area_is_bounded(alice: World, monkeypatch: pytest.MonkeyPatch) -> None:
    staging = Staging(alice.alice())
    for number in range(COMPOSITIONS_OF_USER_MAX + 3):
        staging.put(Composition(f"{number:032x}"), {}, 100.0 + number)
    alive = [number for number in range(30) if staging.find(f"{number:032x}", 130.0) is not None]
    assert alive == list(range(3, COMPOSITIONS_OF_USER_MAX + 3))
    too_large = Composition(ID, files=[ListedFile("f1", "x", "", COMPOSITION_OCTETS_MAX + 1)])
    with pytest.raises(StagingError):
        staging.put(too_large, {}, 130.0)
    too_many = Composition(ID, files=[ListedFile(f"f{n}", "x", "", 1) for n in range(ATTACHMENTS_MAX + 1)])
    with pytest.raises(StagingError):
        staging.put(too_many, {}, 130.0)
    # The least recently saved ones make room, those of sent messages first.
    monkeypatch.setattr(staging_module, "STAGED_OCTETS_OF_USER_MAX", 1000)
    staging.end(f"{22:032x}", 131.0)
    staging.put(Composition(ID, files=[ListedFile("f1", "x", "", 900)]), {"f1": b"x"}, 131.0)
    staging.put(Composition("f" * 32, files=[ListedFile("f1", "x", "", 200)]), {"f1": b"x"}, 132.0)
    assert staging.find(ID, 132.0) is None
    assert staging.find("f" * 32, 132.0) is not None
    assert staging.find(f"{22:032x}", 132.0) is None


def test_files_that_are_too_large_are_refused_and_the_rest_is_kept(
    alice: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging_module, "COMPOSITION_OCTETS_MAX", 1000)
    alice.post("/compose", [FILE], id=ID, action="attach", to="bob@example.com", text="A long letter")
    alice.post("/compose", [FILE] * 4, id=ID, to="bob@example.com", text="A longer letter")
    page = alice.get("/compose", id=ID)
    assert "The files were not attached." in text(page)
    assert "A longer letter" in text(page)
    assert keys_of(page) == ["f1"]
    assert alice.submitted == []


def test_without_a_staging_area_the_form_comes_back_at_once(alice: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Staging, "put", full)
    response = alice.post("/compose", [FILE], id=ID, to="nobody", text="A long letter")
    assert response.status == 422
    assert "A long letter" in text(response)
    assert "The files could not be kept" in text(response)
    # A form without an error is sent all the same.
    alice.post("/compose", [FILE], id=ID, to="bob@example.com", text="A long letter")
    assert files_of(sent(alice)) == [("ring.png", FILE.content)]


def test_a_forward_without_its_original_says_that_the_files_are_missing(alice: World) -> None:
    named = original(alice, "a.bin")
    alice.post("/action", **named, action="delete")
    response = alice.post("/compose", **named, id=ID, way="forward", to="bob@example.com", text="See")
    page = text(alice.follow(response))
    assert "they are not attached" in page
    assert "See" in page
    assert alice.submitted == []
    alice.post("/compose", id=ID, to="bob@example.com", text="See")
    assert files_of(sent(alice)) == []


# Drafts.


def test_a_draft_is_saved_listed_opened_edited_and_sent(alice: World) -> None:
    values = {"to": "Bob <bob@example.com>", "bcc": "eve@example.net", "subject": "Grüße", "text": "First\n"}
    response = alice.post("/compose", [FILE], id=ID, action="save", **values)
    assert value_of(response, b"location") == f"/compose?id={ID}"
    assert "The draft was saved." in text(alice.follow(response))
    (draft,) = messages(alice, "Drafts")
    assert (draft["To"], draft["Bcc"], draft["Subject"]) == ("Bob <bob@example.com>", "eve@example.net", "Grüße")
    folder = alice.alice().folder("Drafts")
    assert folder.messages[folder.uids[0]].flags == {"\\Draft", "\\Seen"}
    # By the staged composition, and by the message alone.
    for world in (alice, World(alice.root, now=alice.now + STAGED_S + 1)):
        world.log_in()
        page = open_draft(world)
        assert 'name="to" value="Bob &lt;bob@example.com&gt;"' in text(page)
        assert 'name="bcc" value="eve@example.net"' in text(page)
        assert 'name="subject" value="Grüße"' in text(page)
        assert ">\nFirst\n</textarea>" in text(page) or ">\nFirst</textarea>" in text(page)
        assert "ring.png" in text(page)
    form = {**dict(re.findall(r'type="hidden" name="(id|way|folder|v|uid)" value="([^"]*)"', text(page)))}
    world.post("/compose", **form, action="save", **{**values, "text": "Second"})
    (draft,) = messages(world, "Drafts")
    assert "Second" in draft.get_body().get_content()  # type: ignore[union-attr]
    assert files_of(draft) == [("ring.png", FILE.content)]
    world.post("/compose", id=form["id"], **{**values, "text": "Third"})
    assert messages(world, "Drafts") == []
    assert files_of(sent(world)) == [("ring.png", FILE.content)]
    assert "Third" in sent(world).get_body().get_content()  # type: ignore[union-attr]
    assert sent(world)["Bcc"] is None
    assert [str(one) for one in world.submitted[-1].envelope.forward_paths] == ["bob@example.com", "eve@example.net"]


def test_a_reply_that_was_saved_still_answers_its_original(alice: World) -> None:
    named = original(alice)
    alice.post("/compose", **named, id=ID, way="reply", action="save", to="bob@example.com", subject="Re: Files")
    Staging(alice.alice()).remove(ID)
    page = open_draft(alice)
    form = {**dict(re.findall(r'type="hidden" name="(id|way|folder|v|uid)" value="([^"]*)"', text(page)))}
    alice.post("/compose", **form, to="bob@example.com", subject="Re: Files", text="Yes")
    assert sent(alice)["In-Reply-To"] == "<first@x>"
    folder = alice.alice().folder("INBOX")
    assert "\\Answered" in folder.messages[folder.uids[0]].flags
    assert messages(alice, "Drafts") == []


def test_a_message_that_was_not_sent_is_in_drafts(alice: World) -> None:
    alice.failure = Reply(451, "Cannot connect to mail.example", "4.4.1")
    for words in ("One", "Two"):
        page = text(alice.follow(alice.post("/compose", [FILE], id=ID, to="bob@example.com", text=words)))
        assert "The message was not sent." in page
        assert "The message is kept in Drafts." in page
    (draft,) = messages(alice, "Drafts")
    assert "Two" in draft.get_body().get_content()  # type: ignore[union-attr]
    assert len(files_of(draft)) == 2
    alice.failure = None
    alice.post("/compose", id=ID, to="bob@example.com", text="Two")
    assert messages(alice, "Drafts") == []
    assert len(messages(alice, "Sent")) == 1


def test_a_draft_that_has_no_room_stays_on_its_page(alice: World) -> None:
    alice.alice().quota.quota_octets = 10
    page = text(alice.follow(alice.post("/compose", [FILE], id=ID, action="save", text="A long letter")))
    assert "The draft was not saved. Quota exceeded." in page
    assert "A long letter" in page
    page = text(alice.follow(alice.post("/compose", id=ID, to="nobody", text="A long letter")))
    assert "could not be saved in Drafts" in page
    assert "ring.png" in page


def test_a_discarded_draft_is_in_trash(alice: World) -> None:
    alice.post("/compose", id=ID, action="save", text="First")
    response = alice.post("/compose", id=ID, action="discard", text="Second")
    assert "moved to Trash" in text(alice.follow(response))
    assert messages(alice, "Drafts") == []
    (trashed,) = messages(alice, "Trash")
    assert "Second" in trashed.get_body().get_content()  # type: ignore[union-attr]
    assert "First" not in text(alice.get("/compose", id=ID))
    assert alice.post("/compose", action="discard").status == 303
    assert len(messages(alice, "Trash")) == 1


def test_a_draft_of_another_program_is_opened(alice: World) -> None:
    octets = (
        b"From: alice@example.com\r\nTo: =?utf-8?q?J=C3=BCrgen?= <j@example.com>,\r\n carol\r\nSubject: x\r\n"
        b"Content-Type: text/html\r\n\r\n<p>Dear <b>J&uuml;rgen</b></p><script>alert(1)</script>\r\n"
    )
    alice.alice().create("Drafts")
    folder = alice.alice().folder("Drafts")
    folder.refresh()
    folder.append([NewMessage(octets)], [frozenset(("\\Draft",))])
    page = text(open_draft(alice))
    assert "Jürgen &lt;j@example.com&gt;, carol" in page
    assert "Dear Jürgen" in page
    assert "alert(1)" not in page


@given(st.dictionaries(st.sampled_from(FORM_FIELDS), st.text(max_size=80)))
def test_no_field_of_a_draft_makes_another(values: dict[str, str]) -> None:
    composition = Composition(ID)
    composition.fields |= {name: value.encode("utf-8", "replace").decode() for name, value in values.items()}
    octets = encode_draft(composition, (), Mailbox("alice", "example.com"), 0.0, "x@example.com")
    assert octets.isascii()
    message = email.message_from_bytes(octets)
    allowed = {"Date", "From", "To", "Cc", "Bcc", "Message-ID", "Subject", "MIME-Version"}
    assert {*message.keys()} <= allowed | {"Content-Type", "Content-Transfer-Encoding"}
    assert len(message.keys()) == len({*message.keys()})
    decode_draft(Contents(octets), Composition(ID))


PRINTABLE = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"))


@given(
    st.text(PRINTABLE, max_size=100),
    st.text(st.one_of(PRINTABLE, st.just("\n")), max_size=300),
    st.sampled_from(["", "bob@example.com", "Bob B <bob@example.com>, carol@example.com", "carol, nobody", "näme"]),
    st.booleans(),
)
def test_a_draft_comes_back_as_it_was_saved(subject: str, body: str, to: str, has_file: bool) -> None:
    key = MessageKey("Entw&APw-rfe; = &-", 7, 9)
    composition = Composition(ID, way="reply", original=key, in_reply_to="<a@x>", references=("<b@x>", "<a@x>"))
    composition.fields |= {"to": to, "subject": subject, "text": body}
    files = [Attachment("ü.bin", b"\0\xff", "application/octet-stream")] if has_file else []
    octets = encode_draft(composition, files, Mailbox("alice", "example.com"), 0.0, "x@example.com")
    again = Composition(ID)
    contents = Contents(octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    decode_draft(contents, again)
    assert (again.fields["to"], again.fields["text"].removesuffix("\n")) == (to, body.removesuffix("\n"))
    assert again.fields["subject"].split() == subject.split()
    assert (again.way, again.original) == ("reply", key)
    assert (again.in_reply_to, again.references) == ("<a@x>", ("<b@x>", "<a@x>"))
    assert [(leaf.file_name, contents.decoded(leaf)) for leaf in contents.files] == [
        (file.file_name, file.content) for file in files
    ]


def test_a_reply_to_one_s_own_message_goes_to_its_recipients(alice: World) -> None:
    octets = b"From: alice@example.com\r\nTo: bob@example.com\r\nCc: eve@example.net\r\nSubject: x\r\n\r\nx\r\n"
    alice.alice().deliver(octets)
    folder = alice.alice().folder("INBOX")
    folder.refresh()
    named = {"folder": "INBOX", "uid": folder.uids[0], "v": folder.uidvalidity}
    page = text(alice.compose(**named, way="all"))
    assert 'name="to" value="bob@example.com"' in page
    assert 'name="cc" value="eve@example.net"' in page
