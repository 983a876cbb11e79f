"""Handlers of webmail's POST forms on messages and folders: set flags, move, delete, create a folder."""

from collections.abc import Callable, Sequence

from services.http.messages import Response
from services.mail.maildir.errors import MaildirError
from services.mail.maildir.folder import Folder
from services.mail.webmail.limits import PAGE_MESSAGES
from services.mail.webmail.message_url import checked_folder, parse_number
from services.mail.webmail.pages import Pages, link, see_other
from services.mail.webmail.requests import PageError, UserPageRequest
from services.mail.webmail.views import folders

_FLAGS = {
    "seen": (folders.SEEN, True),
    "unseen": (folders.SEEN, False),
    "flag": (folders.FLAGGED, True),
    "unflag": (folders.FLAGGED, False),
}


def post_action(request: UserPageRequest, _: Pages) -> Response:
    """Apply the form's action to the selected messages; return a redirect to the folder."""
    form = request.form
    folder = checked_folder(request.maildir, form)
    numbers = (parse_number(text) for text in form.get_all("uid")[:PAGE_MESSAGES])
    uids = [uid for uid in dict.fromkeys(numbers) if uid is not None and uid in folder.messages]
    name = form.get("folder")
    if uids:
        try:
            request.session.notice = _act(request, folder, uids, name)
        except MaildirError as error:
            request.session.notice = f"The action failed. {error}"
    else:
        request.session.notice = "No message is selected."
    page = parse_number(form.get("page"))
    return see_other(link("/folder", name=name, page=page, q=form.get("q") or None))


def _act(request: UserPageRequest, folder: Folder, uids: Sequence[int], name: str) -> str:
    action = request.form.get("action")
    if action in _FLAGS:
        flag, is_set = _FLAGS[action]
        for uid in uids:
            folders.change_flag(folder, uid, flag, is_set)
        return ""
    acts: dict[str, Callable[[], str]] = {
        "delete": lambda: _delete(request, folder, uids, name),
        "move": lambda: _move(request, folder, uids, request.form.get("target")),
    }
    if action not in acts:
        raise PageError(400, "Unknown action.")
    return acts[action]()


def _delete(request: UserPageRequest, folder: Folder, uids: Sequence[int], name: str) -> str:
    """Move messages to Trash, or expunge them if the folder is Trash; return a notice for the next page."""
    if name == folders.TRASH:
        folder.expunge(uids)
        return f"{_messages(uids)} deleted permanently."
    return _move(request, folder, uids, folders.TRASH)


def _move(request: UserPageRequest, folder: Folder, uids: Sequence[int], target: str) -> str:
    folders.move_messages(request.maildir, folder, uids, target)
    return f"{_messages(uids)} moved to {folders.title_of(target)}."


def _messages(uids: Sequence[int]) -> str:
    return "1 message was" if len(uids) == 1 else f"{len(uids)} messages were"


def post_new_folder(request: UserPageRequest, _: Pages) -> Response:
    """Create the folder named in the form; return a redirect to it."""
    name = folders.create_folder(request.maildir, request.form.get("title"))
    request.session.notice = f"The folder {folders.title_of(name)} was created."
    return see_other(link("/folder", name=name))
