r"""Compose form: new message, reply and forward; submission, and the copy in Sent.

The message is sent first. After the submission server has accepted it, a copy is stored in Sent and the original gets
the \Answered flag; a failure of either is reported but cannot undo the submission.
"""

from services.http.forms import Form
from services.http.messages import Response
from services.mail.agent.composing import compose_message
from services.mail.agent.drafts import Attachment, ComposeError, Draft, Person, parse_people
from services.mail.maildir.delivery import Arriving
from services.mail.maildir.errors import MaildirError
from services.mail.reading.contents import Contents
from services.mail.reading.names import safe_file_name
from services.mail.smtp.client_session import Envelope
from services.mail.webmail.message_url import Located, located_by
from services.mail.webmail.pages import Pages, link, see_other
from services.mail.webmail.requests import PageError, Steps, Submit, Submitted, UserVisit
from services.mail.webmail.sessions import Sessions
from services.mail.webmail.views import folders, quoting

REPLY, REPLY_ALL, FORWARD = "reply", "all", "forward"
_FORM_FIELDS = ("to", "cc", "bcc", "subject", "text")
# RFC 9110 section 15.5.21
_NOT_SENT = 422
# 128 random bits make a Message-ID unique.
_ID_CHARACTERS = 32


def get_form(visit: UserVisit, pages: Pages) -> Response:
    """Render the compose form, prefilled for a reply or forward."""
    way = visit.query.get("way")
    values = dict.fromkeys(_FORM_FIELDS, "") | {"to": visit.query.get("to")[:1000]}
    if way not in (REPLY, REPLY_ALL, FORWARD):
        return _form(visit, pages, values, None, "")
    place = located_by(visit.maildir, visit.query)
    contents = Contents(place.read())
    if way == FORWARD:
        answer = quoting.forward(contents)
    else:
        answer = quoting.reply(contents, visit.session.account.mailbox, way == REPLY_ALL)
    values |= {"to": answer.to, "cc": answer.cc, "subject": answer.subject, "text": answer.text}
    return _form(visit, pages, values, place, way)


def _form(
    visit: UserVisit,
    pages: Pages,
    values: dict[str, str],
    place: Located | None,
    way: str,
    error: str = "",
    kept: frozenset[str] | None = None,
) -> Response:
    """Render the form; in a forward all attachments are selected, or those in `kept`."""
    files: list[tuple[str, str, bool]] = []
    if place is not None and way == FORWARD:
        pieces = Contents(place.read()).files
        files = [(one.number, one.file_name, kept is None or one.number in kept) for one in pieces]
    status = _NOT_SENT if error else 200
    shown = {"values": values, "place": place, "way": way, "error": error, "files": files}
    return pages.page(visit, "compose.html", shown, status)


def post_form(visit: UserVisit, pages: Pages) -> Steps:
    """Send the message of the form."""
    form = visit.form
    try:
        place = located_by(visit.maildir, form) if form.get("way") in (REPLY, REPLY_ALL, FORWARD) else None
    except PageError:
        # The original is gone; the text must not be lost.
        place = None
    try:
        draft, content = _written(visit, form, place)
    except (ComposeError, PageError) as error:
        return _again(visit, pages, place, str(error))
    account = visit.session.account
    envelope = Envelope(account.mailbox, draft.recipients, content)
    sent: Submitted = yield Submit(envelope, visit.address, Sessions.password(visit.token, visit.session))
    refused = _refused(sent, draft)
    if len(refused) == len(draft.recipients):
        return _again(visit, pages, place, _why(sent, refused))
    notices = ["The message has been sent."]
    notices += [f"It was refused for {name}: {reply}" for name, reply in refused.items()]
    notices += _keep(visit, content)
    _mark(form.get("way"), place)
    visit.session.notice = " ".join(notices)
    return see_other(link("/folder", name=place.folder_name if place is not None else "INBOX"))


def _again(visit: UserVisit, pages: Pages, place: Located | None, error: str) -> Response:
    """Render the form again with its content; uploaded files have to be selected anew."""
    form = visit.form
    if form.files:
        error += " The files must be chosen again."
    values = {name: form.get(name) for name in _FORM_FIELDS}
    return _form(visit, pages, values, place, form.get("way"), error, frozenset(form.get_all("keep")))


def _written(visit: UserVisit, form: Form, place: Located | None) -> tuple[Draft, bytes]:
    """Return the draft of the form and the encoded message; raise ComposeError and PageError."""
    contents = Contents(place.read()) if place is not None else None
    in_reply_to, references = quoting.references(contents) if contents is not None else ("", ())
    is_reply = form.get("way") in (REPLY, REPLY_ALL)
    draft = Draft(
        Person("", visit.session.account.mailbox),
        parse_people(form.get("to"), "list of recipients"),
        form.get("subject"),
        form.get("text"),
        parse_people(form.get("cc"), "list of copies"),
        parse_people(form.get("bcc"), "list of blind copies"),
        [*_kept(contents, form), *_uploaded(form)],
        in_reply_to if is_reply else "",
        references,
    )
    message_id = f"{visit.fresh[:_ID_CHARACTERS]}@{visit.session.account.domain}"
    return draft, compose_message(draft, visit.now, message_id)


def _uploaded(form: Form) -> list[Attachment]:
    return [Attachment(safe_file_name(one.file_name), one.content, one.content_type) for one in form.files]


def _kept(contents: Contents | None, form: Form) -> list[Attachment]:
    """Return the selected attachments of a forwarded message."""
    if contents is None or form.get("way") != FORWARD:
        return []
    wanted = frozenset(form.get_all("keep"))
    pieces = [piece for piece in contents.files if piece.number in wanted]
    return [Attachment(piece.file_name, contents.decoded(piece), piece.kind) for piece in pieces]


def _refused(sent: Submitted, draft: Draft) -> dict[str, str]:
    """Return the refused recipients with the server's replies."""
    if sent.outcome is None:
        return {str(mailbox): str(sent.failure or "") for mailbox in draft.recipients}
    pairs = zip(draft.recipients, sent.outcome.replies, strict=True)
    return {str(mailbox): str(reply) for mailbox, reply in pairs if not reply.is_positive}


def _why(sent: Submitted, refused: dict[str, str]) -> str:
    if sent.outcome is None:
        return f"The message was not sent. The mail server said: {sent.failure}."
    said = "; ".join(f"{name}: {reply}" for name, reply in refused.items())
    return f"The message was not sent. The mail server refused it: {said}."


def _keep(visit: UserVisit, content: bytes) -> list[str]:
    """Store a copy in Sent; return notices of a failure."""
    try:
        sent = folders.opened(visit.maildir, folders.SENT)
        sent.append([Arriving(content)], [frozenset((folders.SEEN,))])
    except (MaildirError, OSError) as error:
        return [f"No copy could be kept: {error}"]
    return []


def _mark(way: str, place: Located | None) -> None:
    if place is None or way not in (REPLY, REPLY_ALL):
        return
    try:
        folders.change_flag(place.folder, place.uid, folders.ANSWERED, True)
    except MaildirError:
        return
