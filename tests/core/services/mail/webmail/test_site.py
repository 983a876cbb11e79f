"""Webmail pages without sockets: access control, and the effects of forms."""

from __future__ import annotations

import email
import email.policy
from pathlib import Path

import pytest

from lab7.services.http.forms import FormFile
from lab7.services.http.messages import Response
from lab7.services.mail.accounts import Accounts
from lab7.services.mail.smtp.syntax import Reply
from lab7.services.mail.webmail.limits import (
    FAILURES_OF_PEER_MAX,
    FAILURES_OF_USER_MAX,
    FAILURES_S,
    IDLE_S,
    PAGE_MESSAGES,
    SESSIONS_OF_USER_MAX,
)
from tests.core.services.mail.webmail.sites import World, text, value_of

LETTER = b"From: Bob <bob@example.com>\r\nTo: alice@example.com\r\nSubject: %b\r\nMessage-ID: <%b@x>\r\n\r\nHello.\r\n"
PAGES = ("/", "/folder?name=INBOX", "/message?folder=INBOX&uid=1", "/part", "/source", "/compose?id=" + "a" * 32)
FORMS = ("/logout", "/action", "/new-folder", "/pictures", "/compose")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def alice(world: World) -> World:
    world.log_in()
    return world


def deliver(world: World, *subjects: str) -> dict[str, object]:
    """Deliver messages to Alice's inbox; return the URL parameters of the first."""
    world.alice().deliver_many([LETTER % (name.encode(), name.encode()) for name in subjects])
    folder = world.alice().folder("INBOX")
    folder.refresh()
    return {"folder": "INBOX", "uid": folder.uids[0], "v": folder.uidvalidity}


def uids(world: World, name: str) -> list[int]:
    """Return the UIDs of the messages in one of Alice's folders."""
    if not world.alice().exists(name):
        return []
    folder = world.alice().folder(name)
    folder.refresh()
    return folder.uids


def id_of(page: str) -> str:
    """Return the id of the composition in a compose page."""
    return page.partition('name="id" value="')[2].partition('"')[0]


def notice_of(world: World) -> str:
    return text(world.get("/folder", name="INBOX")).partition('role="status">')[2].partition("</p>")[0]


def test_a_stranger_sees_the_log_in_and_nothing_else(world: World) -> None:
    for page in PAGES:
        response = world.get(page)
        assert (response.status, value_of(response, b"location")) == (303, "/login")
    for form in FORMS:
        assert world.post(form).status == 403
    assert world.get("/login").status == world.get("/style.css").status == 200


def test_a_session_is_a_cookie_that_no_script_and_no_other_site_has(world: World) -> None:
    response = world.log_in()
    cookies = [value.decode() for name, value in response.fields if name == b"Set-Cookie"]
    assert cookies[0].endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert "secret" not in "".join(cookies)
    assert value_of(response, b"location") == "/"


def test_over_tls_the_cookie_is_secure(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.site = type(world.site)(world.site.accounts, world.mailbox_of, lambda octets: b"x" * octets, secure=True)
    assert "; Secure" in value_of(world.get("/login"), b"set-cookie")
    assert world.post("/login", form_token="x").status == 403


def test_a_wrong_password_opens_nothing(world: World) -> None:
    for user, password in (
        ("alice", "wrong"),
        ("nobody", "secret"),
        ("", ""),
        ("alice", "x" * 2000),
        ("bob", "secret"),
    ):
        response = world.log_in(user, password)
        assert value_of(response, b"set-cookie") == ""
        assert "Wrong user name or password." in text(world.follow(response))
    assert len(world.site.sessions) == 0


def test_guessing_from_one_address_is_stopped_for_a_while(world: World) -> None:
    for number in range(FAILURES_OF_PEER_MAX):
        assert "Wrong user name" in text(world.follow(world.log_in(f"user{number}", "wrong")))
    assert "Too many failed logins: try again in" in text(world.follow(world.log_in()))
    assert len(world.site.sessions) == 0
    world.now += FAILURES_S
    world.log_in()
    assert len(world.site.sessions) == 1
    assert FAILURES_OF_PEER_MAX < FAILURES_OF_USER_MAX


def test_logging_in_often_is_no_guessing(world: World) -> None:
    for number in range(FAILURES_OF_PEER_MAX + 1):
        assert value_of(world.log_in(), b"location") == "/"
        assert len(world.site.sessions) == min(number + 1, SESSIONS_OF_USER_MAX)


def test_no_other_site_logs_somebody_in(world: World) -> None:
    world.cookie = "login=abc"
    assert world.post("/login", form_token="abd", user="alice", password="secret").status == 403
    world.cookie = ""
    assert world.post("/login", form_token="", user="alice", password="secret").status == 403
    world.cookie = "login=abc"
    elsewhere = {"form_token": "abc", "user": "alice", "password": "secret"}
    assert world.post("/login", origin="http://evil.example", **elsewhere).status == 403


@pytest.mark.parametrize("path", FORMS)
def test_a_form_from_elsewhere_does_nothing(alice: World, path: str) -> None:
    named = deliver(alice, "one")
    for token, origin in (
        (alice.form_token, "http://evil.example"),
        (alice.form_token, "null"),
        ("", ""),
        ("0" * 64, ""),
    ):
        values = {**named, "action": "delete", "to": "bob@example.com", "title": "New"}
        response = alice.post(path, origin=origin, form_token=token, **values)
        assert response.status == 403
    assert len(alice.alice().folder("INBOX").uids) == 1
    assert alice.submitted == []
    assert alice.alice().names() == ["INBOX"]
    assert alice.get("/folder").status == 200


def test_one_user_s_token_is_not_another_s(tmp_path: Path) -> None:
    alice, bob = World(tmp_path), World(tmp_path)
    bob.site = alice.site
    alice.log_in()
    bob.log_in("bob", "hunter2")
    assert bob.post("/new-folder", form_token=alice.form_token, title="Stolen").status == 403
    named = deliver(alice, "private")
    assert bob.get("/message", **named).status in (404, 409)
    assert "private" not in text(bob.get("/folder", name="INBOX"))


def test_a_session_ends_when_the_user_leaves_or_the_account_goes(alice: World) -> None:
    cookie = alice.cookie
    assert alice.post("/logout").status == 303
    assert alice.get("/folder").status == 303
    alice.log_in()
    assert alice.cookie != cookie
    alice.site.accounts = Accounts("bob:hunter2\n", ["example.com"])
    assert alice.get("/folder").status == 303
    assert len(alice.site.sessions) == 0


def test_a_session_that_is_not_used_ends(alice: World) -> None:
    alice.now += IDLE_S + 1
    assert alice.get("/folder").status == 303


@pytest.mark.parametrize("page", ["/login", *PAGES[1:]])
def test_every_page_forbids_scripts_and_frames_around_it(alice: World, page: str) -> None:
    response = alice.get(page)
    policy = value_of(response, b"content-security-policy")
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert value_of(response, b"x-content-type-options") == "nosniff"
    assert value_of(response, b"referrer-policy") == "same-origin"
    assert value_of(response, b"cache-control") == "no-store"


def test_a_folder_is_shown_a_page_at_a_time(alice: World) -> None:
    deliver(alice, *(f"letter-{number:03}" for number in range(PAGE_MESSAGES + 5)))
    first, second = (text(alice.get("/folder", name="INBOX", page=page)) for page in (1, 2))
    assert first.count('name="uid"') == PAGE_MESSAGES
    assert second.count('name="uid"') == 5
    assert f"letter-{PAGE_MESSAGES + 4:03}" in first
    assert "letter-000" in second
    for page in ("0", "-1", "99", "x", "9" * 30):
        assert alice.get("/folder", name="INBOX", page=page).status == 200


def test_a_search_finds_words_of_the_header_in_any_case(alice: World) -> None:
    deliver(alice, "Budget 2026", "lunch")
    found = text(alice.get("/folder", name="INBOX", q="BOB budget"))
    assert "Budget 2026" in found
    assert "lunch" not in found
    assert "Nothing was found" in text(alice.get("/folder", name="INBOX", q="nonsense"))


@pytest.mark.parametrize(
    "name", ["../bob", "..", "/etc", "a//b", "INBOX/../..", "a\0b", "&bad", "x" * 300, "Nowhere", "\ud83d"]
)
def test_no_folder_s_name_leads_out(alice: World, name: str) -> None:
    name = name.encode("utf-8", "replace").decode()
    assert alice.get("/folder", name=name).status == 404
    named = deliver(alice, "one")
    assert alice.get("/message", **{**named, "folder": name}).status == 404
    alice.post("/action", **named, action="move", target=name)
    folder = alice.alice().folder("INBOX")
    folder.refresh()
    assert len(folder.uids) == 1


@pytest.mark.parametrize("title", ["", " ", "a//b", "/", "INBOX", "x" * 300, "a\nb", "Sent/../x\0"])
def test_a_folder_with_no_name_for_one_is_not_made(alice: World, title: str) -> None:
    before = alice.alice().names()
    page = text(alice.follow(alice.post("/new-folder", title=title)))
    assert 'role="alert"' in page
    assert alice.alice().names() in (before, sorted([*before, "Drafts"]))


def test_a_folder_is_made_and_messages_move_there(alice: World) -> None:
    named = deliver(alice, "one", "two")
    response = alice.post("/new-folder", title="Entwürfe & mehr")
    assert value_of(response, b"location") == "/folder?name=Entw%26APw-rfe+%26-+mehr"
    assert "Entwürfe &amp; mehr" in text(alice.get("/folder"))
    alice.post("/action", **named, action="move", target="Entw&APw-rfe &- mehr")
    assert notice_of(alice) == "1 message was moved to Entwürfe &amp; mehr."
    assert [len(alice.alice().folder(name).uids) for name in ("INBOX", "Entw&APw-rfe &- mehr")] == [1, 1]


def test_deleting_goes_by_way_of_the_trash(alice: World) -> None:
    named = deliver(alice, "one")
    alice.post("/action", **named, action="delete")
    trash = alice.alice().folder("Trash")
    trash.refresh()
    assert len(trash.uids) == 1
    alice.post("/action", folder="Trash", uid=trash.uids[0], v=trash.uidvalidity, action="delete")
    assert trash.uids == []
    assert "deleted permanently" in notice_of(alice)


def test_a_full_mailbox_can_be_tidied_up(alice: World) -> None:
    """A message that moves to Trash takes no more room than it has."""
    named = deliver(alice, "one")
    maildir = alice.alice()
    maildir.quota.quota_octets = maildir.quota.usage()[0]
    alice.post("/action", **named, action="delete")
    assert notice_of(alice) == "1 message was moved to Trash."
    assert [len(maildir.folder(name).uids) for name in ("INBOX", "Trash")] == [0, 1]


def test_flags(alice: World) -> None:
    named = deliver(alice, "one")
    inbox = alice.alice().folder("INBOX")
    for action, flags in (
        ("seen", {"\\Seen"}),
        ("flag", {"\\Seen", "\\Flagged"}),
        ("unseen", {"\\Flagged"}),
        ("unflag", set()),
    ):
        assert alice.post("/action", **named, action=action).status == 303
        assert inbox.messages[inbox.uids[0]].flags == flags
    assert "Unknown action." in text(alice.follow(alice.post("/action", **named, action="nonsense")))
    assert alice.post("/action", **{**named, "uid": ""}, action="seen").status == 303


def test_reading_marks_it_read(alice: World) -> None:
    named = deliver(alice, "one")
    assert 'class="unread"' in text(alice.get("/folder"))
    assert "Hello." in text(alice.get("/message", **named))
    assert 'class="unread"' not in text(alice.get("/folder"))


def test_an_address_of_another_time_s_folder_means_nothing(alice: World) -> None:
    named = deliver(alice, "one")
    assert alice.get("/message", **{**named, "v": 1}).status == 409
    refused = alice.post("/action", **{**named, "v": 1}, action="delete")
    assert "deleted and created again" in text(alice.follow(refused))
    assert len(alice.alice().folder("INBOX").uids) == 1
    for uid in ("999", "x", "-1", "", "9" * 50):
        assert alice.get("/message", **{**named, "uid": uid}).status == 404


def sent(world: World) -> email.message.EmailMessage:
    return email.message_from_bytes(world.submitted[-1].envelope.content, policy=email.policy.default)


def test_a_message_goes_out_by_smtp_with_the_user_s_own_password(alice: World) -> None:
    file = FormFile("file", "../ring.png", "image/png", b"\x89PNG")
    response = alice.post(
        "/compose", [file], to="Bob <bob@example.com>", bcc="eve@example.net", subject="Hi", text="Line\r\n"
    )
    assert response.status == 303
    (asked,) = alice.submitted
    assert (asked.user, asked.password) == ("alice@example.com", "secret")
    assert str(asked.envelope.reverse_path) == "alice@example.com"
    assert [str(one) for one in asked.envelope.forward_paths] == ["bob@example.com", "eve@example.net"]
    message = sent(alice)
    assert (message["From"], message["To"], message["Bcc"]) == ("alice@example.com", "Bob <bob@example.com>", None)
    assert [part.get_filename() for part in message.iter_attachments()] == ["ring.png"]
    folder = alice.alice().folder("Sent")
    folder.refresh()
    assert folder.read(folder.uids[0]) == asked.envelope.content
    assert folder.messages[folder.uids[0]].flags == {"\\Seen"}
    assert notice_of(alice) == "The message has been sent."


def test_a_reply_belongs_to_what_it_answers(alice: World) -> None:
    named = deliver(alice, "one")
    form = text(alice.compose(**named, way="all"))
    assert 'value="Bob &lt;bob@example.com&gt;"' in form
    assert 'value="Re: one"' in form
    assert "&gt; Hello." in form
    alice.post("/compose", **named, way="all", to="bob@example.com", subject="Re: one", text="Yes")
    assert (sent(alice)["In-Reply-To"], sent(alice)["References"]) == ("<one@x>", "<one@x>")
    inbox = alice.alice().folder("INBOX")
    assert "\\Answered" in inbox.messages[inbox.uids[0]].flags


def test_what_is_passed_on_takes_the_files_that_are_ticked(alice: World) -> None:
    original = email.message.EmailMessage(email.policy.SMTP)
    original["Subject"], original["From"] = "Files", "bob@example.com"
    original.set_content("See.\n")
    for name in ("a.bin", "b.bin"):
        original.add_attachment(name.encode(), maintype="application", subtype="octet-stream", filename=name)
    alice.alice().deliver(bytes(original))
    inbox = alice.alice().folder("INBOX")
    inbox.refresh()
    named = {"folder": "INBOX", "uid": inbox.uids[0], "v": inbox.uidvalidity, "way": "forward"}
    form = text(alice.compose(**named))
    assert form.count('name="remove"') == 2
    assert "Fwd: Files" in form
    alice.post("/compose", **named, remove="s2", id="f" * 32, to="eve@example.net", subject="Fwd: Files", text="x")
    assert alice.submitted == []
    assert text(alice.get("/compose", id="f" * 32)).count('name="remove"') == 1
    alice.post("/compose", id="f" * 32, to="eve@example.net", subject="Fwd: Files", text="x")
    assert [(one.get_filename(), one.get_content()) for one in sent(alice).iter_attachments()] == [("b.bin", b"b.bin")]


@pytest.mark.parametrize(
    "values",
    [
        {"to": ""},
        {"to": "nobody"},
        {"to": "bob@example.com\r\nBcc: eve@example.net"},
        {"to": '"a\r\nX: y" <bob@example.com>'},
        {"to": "bob@example.com", "subject": "a\r\nBcc: eve@example.net"},
        {"to": "bob@example.com", "subject": "a\nb"},
        {"to": "bob@example.com", "subject": "a\x85b"},
        {"to": "bob@example.com", "cc": "x"},
    ],
)
def test_what_cannot_be_sent_comes_back_with_a_sentence(alice: World, values: dict[str, str]) -> None:
    response = alice.follow(alice.post("/compose", **values, text="A long letter"))
    assert "A long letter" in text(response)
    assert 'role="alert"' in text(response)
    assert alice.submitted == []


def test_what_the_server_refuses_comes_back(alice: World) -> None:
    alice.replies = [Reply(550, "User unknown", "5.1.1")]
    response = alice.follow(alice.post("/compose", to="no@example.com", text="A long letter"))
    assert "<strong>no@example.com</strong>: 550 5.1.1 User unknown" in text(response)
    assert "A long letter" in text(response)
    assert not alice.alice().exists("Sent") or alice.alice().folder("Sent").uids == []


def test_what_was_refused_shows_no_word_of_an_earlier_message(alice: World) -> None:
    assert alice.post("/compose", to="bob@example.com", text="One").status == 303
    alice.replies = [Reply(550, "User unknown", "5.1.1")]
    shown = text(alice.follow(alice.post("/compose", to="no@example.com", text="Two")))
    assert "was not sent" in shown
    assert "has been sent" not in shown
    assert notice_of(alice) == ""


def test_who_is_refused_among_others_is_named(alice: World) -> None:
    alice.replies = [Reply(250, "ok"), Reply(550, "User unknown", "5.1.1")]
    shown = text(alice.follow(alice.post("/compose", to="bob@example.com, No <no@example.com>", text="Hello")))
    assert "The message was sent to 1 of 2 recipients." in shown
    assert "<strong>no@example.com</strong>: 550 5.1.1 User unknown" in shown
    assert "has been sent" not in shown
    # The form has the refused recipient alone, so that the message is not sent twice to the other.
    assert 'name="to" value="No &lt;no@example.com&gt;"' in shown
    assert len(uids(alice, "Sent")) == len(uids(alice, "Drafts")) == 1
    alice.replies = []
    alice.post("/compose", id=id_of(shown), to="now@example.com", text="Hello")
    assert [str(one) for one in alice.submitted[-1].envelope.forward_paths] == ["now@example.com"]
    assert uids(alice, "Drafts") == []


def test_a_server_that_is_down_loses_no_message(alice: World) -> None:
    alice.failure = Reply(451, "Cannot connect to mail.example", "4.4.1")
    response = alice.follow(alice.post("/compose", to="bob@example.com", text="A long letter"))
    assert "Cannot connect to mail.example" in text(response)
    assert "A long letter" in text(response)


def test_an_answer_to_what_has_gone_is_sent_all_the_same(alice: World) -> None:
    named = deliver(alice, "one")
    alice.post("/action", **named, action="delete")
    assert alice.post("/compose", **named, way="reply", to="bob@example.com", text="x").status == 303
    assert sent(alice)["In-Reply-To"] is None


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        (b"POST", "/folder", 405),
        (b"GET", "/logout", 405),
        (b"DELETE", "/", 405),
        (b"GET", "/nowhere", 404),
        (b"GET", "/static/../../etc/passwd", 404),
        (b"GET", "http://[bad/", 400),
        (b"GET", "/folder?" + "a&" * 1000, 413),
        (b"HEAD", "/folder", 200),
    ],
)
def test_requests_that_are_none_of_the_site_s(alice: World, method: bytes, target: str, status: int) -> None:
    admitted = alice.site.admit(alice.head(method, target, {}), "192.0.2.1", alice.now)
    assert (admitted.status if isinstance(admitted, Response) else 200) == status


def test_texts_of_strangers_are_text_on_every_page(alice: World) -> None:
    named = deliver(alice, "<script>alert(1)</script>")
    pages = [alice.get("/folder"), alice.get("/message", **named), alice.compose(**named, way="reply")]
    pages += [alice.get("/folder", q="<script>alert(1)</script>")]
    pages += [alice.follow(alice.post("/new-folder", title=title)) for title in ("<b>", "<b>//")]
    for values in ({"to": "<script>@x", "subject": "</textarea><script>"}, {"action": "save", "to": "<script>"}):
        pages.append(alice.follow(alice.post("/compose", **values, text="</textarea>")))
    pages += [alice.get("/folder"), alice.get("/folder", name="Drafts")]
    for page in pages:
        assert "<script" not in text(page)
        assert "<b>" not in text(page)
        assert text(page).count("</textarea>") <= 1
