"""Form actions on messages and folders: set flags, move, delete, create a folder. All by POST."""

from collections.abc import Callable, Sequence

from services.http.messages import Response
from services.mail.maildir.errors import MaildirError
from services.mail.maildir.folder import Folder
from services.mail.webmail.limits import PAGE_MESSAGES
from services.mail.webmail.message_url import checked_folder, number
from services.mail.webmail.pages import Pages, link, see_other
from services.mail.webmail.requests import PageError, UserVisit
from services.mail.webmail.views import folders

_FLAGS = {
    "seen": (folders.SEEN, True),
    "unseen": (folders.SEEN, False),
    "flag": (folders.FLAGGED, True),
    "unflag": (folders.FLAGGED, False),
}


def post_action(visit: UserVisit, _: Pages) -> Response:
    """Apply an action to the selected messages and redirect to the folder."""
    form = visit.form
    folder = checked_folder(visit.maildir, form)
    found = (number(text) for text in form.get_all("uid")[:PAGE_MESSAGES])
    uids = [uid for uid in dict.fromkeys(found) if uid is not None and uid in folder.messages]
    name = form.get("folder")
    if uids:
        try:
            visit.session.notice = _act(visit, folder, uids, name)
        except MaildirError as error:
            visit.session.notice = f"That could not be done. {error}"
    else:
        visit.session.notice = "No message was chosen."
    page = number(form.get("page"))
    return see_other(link("/folder", name=name, page=page, q=form.get("q") or None))


def _act(visit: UserVisit, folder: Folder, uids: Sequence[int], name: str) -> str:
    action = visit.form.get("action")
    if action in _FLAGS:
        flag, wanted = _FLAGS[action]
        for uid in uids:
            folders.change_flag(folder, uid, flag, wanted)
        return ""
    acts: dict[str, Callable[[], str]] = {
        "delete": lambda: _delete(visit, folder, uids, name),
        "move": lambda: _move(visit, folder, uids, visit.form.get("target")),
    }
    if action not in acts:
        raise PageError(400, "There is no such action.")
    return acts[action]()


def _delete(visit: UserVisit, folder: Folder, uids: Sequence[int], name: str) -> str:
    """Move messages to Trash; in Trash, expunge them."""
    if name == folders.TRASH:
        folder.expunge(uids)
        return f"{_messages(uids)} removed for good."
    return _move(visit, folder, uids, folders.TRASH)


def _move(visit: UserVisit, folder: Folder, uids: Sequence[int], target: str) -> str:
    folders.move(visit.maildir, folder, uids, target)
    return f"{_messages(uids)} moved to {folders.title_of(target)}."


def _messages(uids: Sequence[int]) -> str:
    return "1 message was" if len(uids) == 1 else f"{len(uids)} messages were"


def post_new_folder(visit: UserVisit, _: Pages) -> Response:
    """Create a folder."""
    name = folders.created(visit.maildir, visit.form.get("title"))
    visit.session.notice = f"The folder {folders.title_of(name)} has been made."
    return see_other(link("/folder", name=name))
