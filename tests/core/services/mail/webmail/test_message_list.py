"""Message lists without sockets: dates, and selection of a page or of all messages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab7.services.http.forms import Form
from lab7.services.http.messages import Response
from lab7.services.mail.maildir.delivery import NewMessage
from lab7.services.mail.webmail.limits import PAGE_MESSAGES
from lab7.services.mail.webmail.site import Admitted
from lab7.services.mail.webmail.views.dates import full_date, short_date
from tests.core.services.mail.webmail.sites import World, text, value_of

# 2026-11-23 14:02:37 UTC.
NOW_S = 1_795_442_557.0
DAY_S = 86_400


@pytest.fixture
def alice(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.log_in()
    return world


def fill(world: World, count: int, first: int = 0) -> None:
    """Append messages with their numbers as subjects to Alice's inbox."""
    inbox = world.alice().folder("INBOX")
    inbox.refresh()
    inbox.append([NewMessage(b"Subject: number %d\r\n\r\nx\r\n" % (first + number)) for number in range(count)])


def form_of(page: Response) -> dict[str, object]:
    """Return the fields of the list's form as a browser sends them."""
    inputs = re.findall(r"<input[^>]*>", text(page).partition('<form class="list"')[2].partition("</form>")[0])
    fields: dict[str, object] = {"uid": []}
    for tag in inputs:
        values = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if values["type"] == "hidden":
            fields[values["name"]] = values["value"]
        elif " checked" in tag and " disabled" not in tag:
            fields["uid"] = [*fields["uid"], values["value"]]  # type: ignore[misc]
    return fields


def act(world: World, page: Response, action: str, **more: object) -> Response:
    return world.post("/action", **{**form_of(page), "action": action, **more})


def count(world: World, name: str) -> int:
    folder = world.alice().folder(name)
    folder.refresh()
    return len(folder.uids)


@pytest.mark.parametrize(
    ("seconds", "short"),
    [
        (NOW_S, "14:02"),
        (NOW_S - 14 * 3600, "00:02"),
        (NOW_S - 15 * 3600, "22 Nov"),
        (NOW_S + DAY_S, "24 Nov"),
        (NOW_S - 300 * DAY_S, "27 Jan"),
        (NOW_S - 330 * DAY_S, "28 Dec 2025"),
        (0, "1 Jan 1970"),
        (1e30, "?"),
        (float("nan"), "?"),
    ],
)
def test_short_dates(seconds: float, short: str) -> None:
    assert short_date(seconds, NOW_S) == short


def test_a_row_has_its_date(alice: World) -> None:
    inbox = alice.alice().folder("INBOX")
    inbox.refresh()
    inbox.append([NewMessage(b"Subject: old\r\n\r\n", "", NOW_S - 400 * DAY_S)])
    page = text(alice.get("/folder"))
    assert '<time datetime="2025-10-19T14:02Z" title="2025-10-19 14:02 UTC">19 Oct 2025</time>' in page
    assert full_date(NOW_S) == "2026-11-23 14:02"


def test_all_messages_of_a_page_are_selected_by_a_button(alice: World) -> None:
    fill(alice, PAGE_MESSAGES + 10)
    page = alice.get("/folder", page=2)
    assert form_of(page)["uid"] == []
    response = act(alice, page, "select-page")
    assert value_of(response, b"location") == "/folder?name=INBOX&page=2&select=page"
    selected = alice.follow(response)
    assert len(form_of(selected)["uid"]) == 10  # type: ignore[arg-type]
    assert form_of(alice.follow(act(alice, selected, "select-none")))["uid"] == []
    act(alice, selected, "delete")
    assert (count(alice, "INBOX"), count(alice, "Trash")) == (PAGE_MESSAGES, 10)


def test_all_messages_of_a_folder_are_selected_and_moved(alice: World) -> None:
    fill(alice, 2000)
    page = alice.follow(act(alice, alice.get("/folder"), "select-page"))
    assert "All 50 messages on this page are selected." in text(page)
    page = alice.follow(act(alice, page, "select-all"))
    assert "All 2,000 messages of this folder are selected." in text(page)
    # A message that arrives after the page was displayed was not selected.
    fill(alice, 1, first=2000)
    assert "2,000 messages were moved to Trash." in text(alice.follow(act(alice, page, "delete")))
    assert (count(alice, "INBOX"), count(alice, "Trash")) == (1, 2000)
    assert "number 2000" in text(alice.get("/folder"))


def test_all_messages_of_a_search_are_selected(alice: World) -> None:
    fill(alice, 320)
    page = alice.follow(act(alice, alice.get("/folder", q="number 1"), "select-page"))
    page = alice.follow(act(alice, page, "select-all"))
    matching = [number for number in range(320) if "1" in str(number)]
    assert f"All {len(matching)} messages of this search are selected." in text(page)
    act(alice, page, "flag")
    inbox = alice.alice().folder("INBOX")
    flagged = [uid for uid in inbox.uids if "\\Flagged" in inbox.messages[uid].flags]
    assert [int(inbox.read_header(uid).split()[2]) for uid in flagged] == matching


def test_an_action_on_many_messages_lets_other_requests_run(alice: World) -> None:
    fill(alice, 500)
    page = alice.follow(act(alice, alice.follow(act(alice, alice.get("/folder"), "select-page")), "select-all"))
    for action in ("seen", "move", "delete"):
        fields = {**form_of(page), "form_token": alice.form_token, "action": action, "target": "INBOX"}
        fields.pop("uid")
        admitted = alice.site.admit(alice.head(b"POST", "/action", {}), "192.0.2.1", alice.now)
        assert isinstance(admitted, Admitted)
        steps = alice.site.answer(admitted, Form([(name, str(value)) for name, value in fields.items()]))
        assert not isinstance(steps, Response)
        assert len(list(steps)) >= (500 // 50 if action != "move" else 0)


def test_nothing_selected_is_said(alice: World) -> None:
    fill(alice, 2)
    page = alice.follow(act(alice, alice.get("/folder"), "delete"))
    assert '<p class="error" role="alert">No message is selected.</p>' in text(page)
    # Scope "all" alone, without the last UID that the page displayed, selects nothing.
    alice.post("/action", **{**form_of(alice.get("/folder")), "scope": "all", "action": "delete"})
    assert count(alice, "INBOX") == 2
