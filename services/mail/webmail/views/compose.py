r"""Compose form of webmail for new messages, replies and forwards; submission, and the copy in Sent.

The message is sent first. After the submission server has accepted it, a copy is stored in Sent and the original gets
the \Answered flag; a failure of either is reported but cannot undo the submission.
"""

from services.http.forms import Form
from services.http.messages import Response
from services.mail.agent.composition import compose_message
from services.mail.agent.drafts import Attachment, ComposeError, Draft, NameAddr, parse_mailbox_list
from services.mail.maildir.delivery import NewMessage
from services.mail.maildir.errors import MaildirError
from services.mail.message_content.contents import Contents
from services.mail.message_content.file_names import safe_file_name
from services.mail.smtp.client_session import Envelope
from services.mail.webmail.message_url import MessageLocation, find_message
from services.mail.webmail.pages import Pages, link, see_other
from services.mail.webmail.requests import PageError, Steps, Submit, Submitted, UserPageRequest
from services.mail.webmail.sessions import Sessions
from services.mail.webmail.views import folders, replies

REPLY, REPLY_ALL, FORWARD = "reply", "all", "forward"
_FORM_FIELDS = ("to", "cc", "bcc", "subject", "text")
# RFC 9110 section 15.5.21: a form that was not sent because of its content gets 422.
_NOT_SENT = 422
# A Message-ID has 32 hexadecimal digits, 128 random bits, to be unique.
_ID_CHARACTERS = 32


def get_form(request: UserPageRequest, pages: Pages) -> Response:
    """Render the compose form, prefilled for a reply or forward."""
    way = request.query.get("way")
    values = dict.fromkeys(_FORM_FIELDS, "") | {"to": request.query.get("to")[:1000]}
    if way not in (REPLY, REPLY_ALL, FORWARD):
        return _form(request, pages, values, None, "")
    location = find_message(request.maildir, request.query)
    contents = Contents(location.read())
    if way == FORWARD:
        answer = replies.forward(contents)
    else:
        answer = replies.reply(contents, request.session.account.mailbox, way == REPLY_ALL)
    values |= {"to": answer.to, "cc": answer.cc, "subject": answer.subject, "text": answer.text}
    return _form(request, pages, values, location, way)


def _form(
    request: UserPageRequest,
    pages: Pages,
    values: dict[str, str],
    location: MessageLocation | None,
    way: str,
    error: str = "",
    kept: frozenset[str] | None = None,
) -> Response:
    """Render the form; in a forward, all attachments are selected, or only the sections in `kept`."""
    files: list[tuple[str, str, bool]] = []
    if location is not None and way == FORWARD:
        parts = Contents(location.read()).files
        files = [(part.number, part.file_name, kept is None or part.number in kept) for part in parts]
    status = _NOT_SENT if error else 200
    template_values = {"values": values, "place": location, "way": way, "error": error, "files": files}
    return pages.page(request, "compose.html", template_values, status)


def post_form(request: UserPageRequest, pages: Pages) -> Steps:
    """Send the message in the form; return a redirect, or the form with an error."""
    form = request.form
    try:
        location = find_message(request.maildir, form) if form.get("way") in (REPLY, REPLY_ALL, FORWARD) else None
    except PageError:
        # If the original message was removed, send the reply nevertheless: the user's text must not be lost.
        location = None
    try:
        draft, content = _compose(request, form, location)
    except (ComposeError, PageError) as error:
        return _form_again(request, pages, location, str(error))
    account = request.session.account
    envelope = Envelope(account.mailbox, draft.recipients, content)
    sent: Submitted = yield Submit(envelope, request.address, Sessions.password(request.token, request.session))
    refused = _refused_recipients(sent, draft)
    if len(refused) == len(draft.recipients):
        return _form_again(request, pages, location, _failure_text(sent, refused))
    notices = ["The message has been sent."]
    notices += [f"Delivery to {name} was refused: {reply}" for name, reply in refused.items()]
    notices += _store_copy(request, content)
    _mark_answered(form.get("way"), location)
    request.session.notice = " ".join(notices)
    return see_other(link("/folder", name=location.folder_name if location is not None else "INBOX"))


def _form_again(request: UserPageRequest, pages: Pages, location: MessageLocation | None, error: str) -> Response:
    """Render the form with an error and the user's input; uploaded files have to be selected again."""
    form = request.form
    if form.files:
        error += " Attach the files again."
    values = {name: form.get(name) for name in _FORM_FIELDS}
    return _form(request, pages, values, location, form.get("way"), error, frozenset(form.get_all("keep")))


def _compose(request: UserPageRequest, form: Form, location: MessageLocation | None) -> tuple[Draft, bytes]:
    """Return (draft, encoded message) for the form; raise ComposeError and PageError."""
    contents = Contents(location.read()) if location is not None else None
    in_reply_to, references = replies.references(contents) if contents is not None else ("", ())
    is_reply = form.get("way") in (REPLY, REPLY_ALL)
    draft = Draft(
        NameAddr("", request.session.account.mailbox),
        parse_mailbox_list(form.get("to"), "To field"),
        form.get("subject"),
        form.get("text"),
        parse_mailbox_list(form.get("cc"), "Cc field"),
        parse_mailbox_list(form.get("bcc"), "Bcc field"),
        [*_forwarded_attachments(contents, form), *_uploaded_attachments(form)],
        in_reply_to if is_reply else "",
        references,
    )
    message_id = f"{request.random_token[:_ID_CHARACTERS]}@{request.session.account.domain}"
    return draft, compose_message(draft, request.now, message_id)


def _uploaded_attachments(form: Form) -> list[Attachment]:
    return [Attachment(safe_file_name(upload.file_name), upload.content, upload.content_type) for upload in form.files]


def _forwarded_attachments(contents: Contents | None, form: Form) -> list[Attachment]:
    """Return the attachments of a forwarded message that are selected in the form."""
    if contents is None or form.get("way") != FORWARD:
        return []
    selected = frozenset(form.get_all("keep"))
    parts = [part for part in contents.files if part.number in selected]
    return [Attachment(part.file_name, contents.decoded(part), part.media_type) for part in parts]


def _refused_recipients(sent: Submitted, draft: Draft) -> dict[str, str]:
    """Return {refused recipient: the server's reply}, empty if all recipients were accepted."""
    if sent.outcome is None:
        return {str(mailbox): str(sent.failure or "") for mailbox in draft.recipients}
    pairs = zip(draft.recipients, sent.outcome.replies, strict=True)
    return {str(mailbox): str(reply) for mailbox, reply in pairs if not reply.is_positive}


def _failure_text(sent: Submitted, refused: dict[str, str]) -> str:
    if sent.outcome is None:
        return f"The message was not sent. The mail server said: {sent.failure}."
    replies_text = "; ".join(f"{name}: {reply}" for name, reply in refused.items())
    return f"The message was not sent. The mail server refused it: {replies_text}."


def _store_copy(request: UserPageRequest, content: bytes) -> list[str]:
    """Store a copy of a sent message in Sent; return notices for the user, empty without a failure."""
    try:
        sent = folders.open_folder(request.maildir, folders.SENT)
        sent.append([NewMessage(content)], [frozenset((folders.SEEN,))])
    except (MaildirError, OSError) as error:
        return [f"No copy was saved in Sent: {error}"]
    return []


def _mark_answered(way: str, location: MessageLocation | None) -> None:
    if location is None or way not in (REPLY, REPLY_ALL):
        return
    try:
        folders.change_flag(location.folder, location.uid, folders.ANSWERED, True)
    except MaildirError:
        return
