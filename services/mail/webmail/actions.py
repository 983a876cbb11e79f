"""Handlers of webmail's POST forms on messages and folders: set flags, move, delete, show pictures, create a folder.

Each form is answered by a redirect. Operations on many messages run in steps, between which other requests are handled.
"""

from collections.abc import Callable, Generator, Sequence

from lab7.services.http.messages import Response
from lab7.services.mail.maildir.errors import MaildirError, MessageGoneError
from lab7.services.mail.maildir.folder import Folder
from lab7.services.mail.maildir.folder_names import INBOX
from lab7.services.mail.maildir.steps import batches
from lab7.services.mail.webmail.limits import BATCH_MESSAGES, PAGE_MESSAGES, SEARCH_CHARACTERS
from lab7.services.mail.webmail.message_url import checked_folder, find_message, parse_number
from lab7.services.mail.webmail.pages import Pages, link, see_other
from lab7.services.mail.webmail.requests import IoRequest, PageError, Steps, UserPageRequest, YieldControl
from lab7.services.mail.webmail.views import folders, message_list

_FLAGS = {
    "seen": (folders.SEEN, True),
    "unseen": (folders.SEEN, False),
    "flag": (folders.FLAGGED, True),
    "unflag": (folders.FLAGGED, False),
}
_SELECTIONS = {"select-page": message_list.SELECT_PAGE, "select-all": message_list.SELECT_ALL, "select-none": None}
_Act = Generator[IoRequest, None, str]


def post_action(request: UserPageRequest, _: Pages) -> Steps:
    """Apply the form's action to the selected messages, or change the selection; return a redirect to the folder."""
    form = request.form
    folder = checked_folder(request.maildir, form)
    action = form.get("action")
    name, words = form.get("folder"), form.get("q").strip()
    page = parse_number(form.get("page"))
    if action in _SELECTIONS:
        return see_other(link("/folder", name=name, page=page, q=words or None, select=_SELECTIONS[action]))
    uids = yield from _selected(request, folder)
    if uids:
        try:
            request.session.notice = yield from _act(request, folder, uids, name)
        except MaildirError as error:
            request.session.warning = f"The action failed. {error}"
    else:
        request.session.warning = "No message is selected."
    return see_other(link("/folder", name=name, page=page, q=words or None))


def _selected(request: UserPageRequest, folder: Folder) -> Generator[IoRequest, None, Sequence[int]]:
    """Return the UIDs of the selected messages: those listed in the form, or all messages of the folder or search.

    "All" excludes messages that arrived after the page was displayed. Messages that no longer exist are left out.
    """
    form = request.form
    if form.get("scope") != message_list.SELECT_ALL:
        numbers = (parse_number(text) for text in form.get_all("uid")[:PAGE_MESSAGES])
        return [uid for uid in dict.fromkeys(numbers) if uid is not None and uid in folder.messages]
    # The user has not selected a message that arrived after the list was displayed.
    last = parse_number(form.get("last")) or 0
    uids = yield from message_list.listed_uids(folder, form.get("q"))
    return [uid for uid in uids if uid <= last]


def _act(request: UserPageRequest, folder: Folder, uids: Sequence[int], name: str) -> _Act:
    action = request.form.get("action")
    if action in _FLAGS:
        return (yield from _set_flag(folder, uids, *_FLAGS[action]))
    acts: dict[str, Callable[[], _Act]] = {
        "delete": lambda: _delete(request, folder, uids, name),
        "move": lambda: _move(request, folder, uids, request.form.get("target")),
    }
    if action not in acts:
        raise PageError(400, "Unknown action.")
    return (yield from acts[action]())


def _set_flag(folder: Folder, uids: Sequence[int], flag: str, is_set: bool) -> _Act:
    for batch in batches(uids, BATCH_MESSAGES):
        for uid in batch:
            try:
                folders.change_flag(folder, uid, flag, is_set)
            except MessageGoneError:
                # Another program has removed the message; the other messages still get the flag.
                continue
        yield YieldControl()
    return ""


def _delete(request: UserPageRequest, folder: Folder, uids: Sequence[int], name: str) -> _Act:
    """Move messages to Trash, or expunge them if the folder is Trash; return the text of a notice to display."""
    if name == folders.TRASH:
        yield from folders.paced(folder.expunge_steps(uids))
        return f"{_messages(uids)} deleted permanently."
    return (yield from _move(request, folder, uids, folders.TRASH))


def _move(request: UserPageRequest, folder: Folder, uids: Sequence[int], target: str) -> _Act:
    yield from folders.move_steps(request.maildir, folder, uids, target)
    return f"{_messages(uids)} moved to {folders.title_of(target)}."


def _messages(uids: Sequence[int]) -> str:
    return "1 message was" if len(uids) == 1 else f"{len(uids):,} messages were"


def post_pictures(request: UserPageRequest, _: Pages) -> Response:
    """Permit the remote pictures of one message in this session; return a redirect to the message."""
    location = find_message(request.maildir, request.form)
    request.session.pictures.put(location.key, True)
    return see_other(location.link("/message", **{"as": "html"}))


def post_new_folder(request: UserPageRequest, _: Pages) -> Response:
    """Create the folder named in the form; return a redirect to the new folder, or to the form with an error."""
    title = request.form.get("title")
    try:
        name = folders.create_folder(request.maildir, title)
    except PageError as error:
        request.session.warning = error.detail
        return see_other(link("/folder", name=INBOX, title=title[:SEARCH_CHARACTERS] or None))
    request.session.notice = f"The folder {folders.title_of(name)} was created."
    return see_other(link("/folder", name=name))
