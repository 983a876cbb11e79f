r"""Compose page of webmail: new messages, replies, forwards and drafts; attached files, submission, copy in Sent.

Each form is answered by a redirect (RFC 9110 section 15.4.4). After a refused form, a saved draft or an attached file,
the redirect leads back to the compose page, which keeps text and files and shows the error, if any; after sending and
discarding, it leads to a folder. A message that is not sent is kept in Drafts. The message is sent first; after the
submission server has accepted it, a copy is stored in Sent, the original gets the \Answered flag, and the draft is
removed. A failure of these later steps is reported, but cannot undo the submission.
"""

from collections.abc import Mapping

from lab7.services.http.forms import Form
from lab7.services.http.messages import Response
from lab7.services.mail.address import Mailbox
from lab7.services.mail.agent.composition import compose_message, truncate_references
from lab7.services.mail.agent.drafts import Attachment, ComposeError, Draft, NameAddr, parse_mailbox_list
from lab7.services.mail.maildir.delivery import NewMessage
from lab7.services.mail.maildir.errors import MaildirError
from lab7.services.mail.maildir.folder_names import INBOX
from lab7.services.mail.message_content.contents import Contents
from lab7.services.mail.message_content.file_names import safe_file_name
from lab7.services.mail.smtp.client_session import Envelope
from lab7.services.mail.webmail.compose import replies
from lab7.services.mail.webmail.compose.composition import (
    DRAFT,
    FORM_FIELDS,
    FORWARD,
    ID_CHARACTERS,
    REPLIES,
    REPLY_ALL,
    WAYS,
    Composition,
    ListedFile,
    MessageKey,
    Refusal,
    checked_id,
)
from lab7.services.mail.webmail.compose.draft_message import decode_draft, encode_draft
from lab7.services.mail.webmail.compose.staging import Staging, StagingError
from lab7.services.mail.webmail.message_url import MessageLocation, find_message
from lab7.services.mail.webmail.pages import Pages, link, see_other
from lab7.services.mail.webmail.requests import PageError, Steps, Submit, Submitted, UserPageRequest
from lab7.services.mail.webmail.sessions import Sessions
from lab7.services.mail.webmail.views import folders

# RFC 9110 section 15.5.21: content that cannot be processed, for a form that cannot be kept for a redirect.
_NOT_KEPT = 422
_TO_CHARACTERS = 1000
_ORIGINAL_GONE = "The message with the files has been moved or deleted: they are not attached."
_QUERY_FIELDS = ("way", "folder", "uid", "v")
SEND, SAVE, ATTACH, DISCARD, REMOVE = "send", "save", "attach", "discard", "remove"


def get_form(request: UserPageRequest, pages: Pages) -> Response:
    """Render the compose page of the composition with the query's `id`.

    Without an id, redirect to a new composition, or to the one that continues the given draft.
    """
    staging = Staging(request.maildir)
    staging.sweep(request.now)
    query = request.query
    composition_id = checked_id(query.get("id"))
    if not composition_id:
        return see_other(_new_url(request, staging))
    composition = staging.find(composition_id, request.now)
    if composition is None:
        composition, _ = _begun(request, composition_id, query)
    if composition.sent:
        return pages.page(request, "sent.html", {})
    return _page(request, pages, composition)


def _new_url(request: UserPageRequest, staging: Staging) -> str:
    query = request.query
    if query.get("way") == DRAFT:
        location = find_message(request.maildir, query)
        known = staging.of_draft(_key(location), request.now)
        if known:
            return link("/compose", id=known)
    given: dict[str, object] = {name: query.get(name) or None for name in _QUERY_FIELDS}
    given["to"] = query.get("to")[:_TO_CHARACTERS] or None
    return link("/compose", id=request.random_token[-ID_CHARACTERS:], **given)


def _url(composition: Composition) -> str:
    return link("/compose", id=composition.id)


def _key(location: MessageLocation) -> MessageKey:
    return MessageKey(location.folder_name, location.folder.uidvalidity, location.uid)


def _page(
    request: UserPageRequest, pages: Pages, composition: Composition, error: str = "", status: int = 200
) -> Response:
    values = {
        "composition": composition,
        "values": composition.fields,
        "source": composition.draft or composition.original,
        "source_way": DRAFT if composition.draft is not None else composition.way,
        "way": composition.way,
        "error": error or composition.error,
    }
    return pages.page(request, "compose.html", values, status)


def _begun(request: UserPageRequest, composition_id: str, form: Form) -> tuple[Composition, dict[str, bytes]]:
    """Create a composition, empty or prefilled for a reply, forward or draft.

    Return (composition, contents of its files). The contents are a dict of octets, keyed by ListedFile.key. Raises
    PageError if the original message was removed.
    """
    way = form.get("way")
    composition = Composition(composition_id)
    composition.fields["to"] = form.get("to")[:_TO_CHARACTERS]
    if way not in WAYS:
        return composition, {}
    location = find_message(request.maildir, form)
    contents = Contents(location.read())
    if way == DRAFT:
        composition.draft = _key(location)
        decode_draft(contents, composition)
    else:
        _prefill(composition, contents, way, request.session.account.mailbox)
        composition.way, composition.original = way, _key(location)
    if way not in (DRAFT, FORWARD):
        return composition, {}
    decoded = {f"s{leaf.number}": contents.decoded(leaf) for leaf in contents.files}
    composition.files = [
        ListedFile(f"s{leaf.number}", leaf.file_name, leaf.media_type, len(decoded[f"s{leaf.number}"]))
        for leaf in contents.files
    ]
    return composition, decoded


def _prefill(composition: Composition, contents: Contents, way: str, own: Mailbox) -> None:
    answer = replies.forward(contents) if way == FORWARD else replies.reply(contents, own, way == REPLY_ALL)
    composition.fields |= {"to": answer.to, "cc": answer.cc, "subject": answer.subject, "text": answer.text}
    in_reply_to, references = replies.references(contents)
    composition.references = truncate_references(references)
    composition.in_reply_to = in_reply_to if way in REPLIES else ""


def post_form(request: UserPageRequest, pages: Pages) -> Steps:
    """Attach or remove files, save or discard the draft, or send the message; return a redirect."""
    action = REMOVE if request.form.get(REMOVE) else request.form.get("action") or SEND
    if action not in (SEND, SAVE, ATTACH, DISCARD, REMOVE):
        raise PageError(400, "Unknown action.")
    desk = _Desk(request, pages)
    if desk.composition.sent or desk.composition.id in request.session.sending:
        return see_other(_url(desk.composition))
    problem = desk.take_form()
    if action == DISCARD:
        return desk.discard()
    if problem or action in (ATTACH, REMOVE):
        return desk.shown(problem)
    if action == SAVE:
        return desk.saved()
    return (yield from desk.send())


class _Desk:
    """Handler of one submitted compose form: holds its composition; saves, discards or sends the message."""

    def __init__(self, request: UserPageRequest, pages: Pages) -> None:
        self._request = request
        self._pages = pages
        self._staging = Staging(request.maildir)
        self._contents: dict[str, bytes] = {}
        self._problem = ""
        self.composition = self._submitted()

    def _submitted(self) -> Composition:
        """Return the composition with the form's id from the staging area, or a new one."""
        request, form = self._request, self._request.form
        composition_id = checked_id(form.get("id")) or request.random_token[-ID_CHARACTERS:]
        composition = self._staging.find(composition_id, request.now)
        if composition is not None:
            return composition
        try:
            composition, self._contents = _begun(request, composition_id, form)
        except PageError:
            # If the original message was removed, the reply is sent nevertheless: the user's text must not be lost.
            self._problem = _ORIGINAL_GONE if form.get("way") in (DRAFT, FORWARD) else ""
            composition = Composition(composition_id)
        return composition

    def take_form(self) -> str:
        """Copy the form's fields and files into the composition and store it; return an error text or ""."""
        composition, form = self.composition, self._request.form
        for name in FORM_FIELDS:
            composition.fields[name] = form.get(name)
        removed = frozenset(form.get_all(REMOVE))
        composition.files = [file for file in composition.files if file.key not in removed]
        before = list(composition.files)
        for upload in form.files:
            key = composition.free_key()
            name = safe_file_name(upload.file_name)
            composition.files.append(ListedFile(key, name, upload.content_type, len(upload.content)))
            self._contents[key] = upload.content
        composition.fail("")
        try:
            self._store()
        except StagingError as error:
            composition.files = before
            self._problem = f"The files were not attached. {error}"
        except OSError:
            # The page, or the submission, works without the staging area: see shown().
            return self._problem
        return self._problem

    def _store(self) -> None:
        self._staging.put(self.composition, self._contents, self._request.now)

    def shown(self, error: str, refusals: tuple[Refusal, ...] = ()) -> Response:
        """Store the composition, and return a redirect to its page; if it cannot be stored, return the page itself."""
        self.composition.fail(error, refusals)
        try:
            self._store()
        except (StagingError, OSError) as reason:
            text = f"{error} The files could not be kept: attach them again. {reason}".strip()
            return _page(self._request, self._pages, self.composition, text, _NOT_KEPT)
        return see_other(_url(self.composition))

    def _attachments(self) -> list[Attachment]:
        contents: Mapping[str, bytes] = self._contents
        return [
            Attachment(file.name, contents[file.key], file.media_type)
            if file.key in contents
            else self._staging.content(self.composition, file)
            for file in self.composition.files
        ]

    def saved(self) -> Response:
        """Save the composition as a draft message; return a redirect to the composition's page."""
        if self.composition.is_empty:
            return self.shown("There is nothing to save: the message is empty.")
        problem = self._save_draft(folders.DRAFTS)
        if problem:
            return self.shown(f"The draft was not saved. {problem}")
        self._request.session.notice = "The draft was saved."
        return self.shown("")

    def _save_draft(self, folder_name: str) -> str:
        """Store the composition as a message in place of the earlier draft; return an error text, empty on success."""
        request, composition = self._request, self.composition
        sender = request.session.account.mailbox
        try:
            content = encode_draft(composition, self._attachments(), sender, request.now, self._message_id())
            folder = folders.open_folder(request.maildir, folder_name)
            (uid,) = folder.append([NewMessage(content)], [frozenset((folders.SEEN, folders.DRAFT))])
        except (ComposeError, MaildirError, OSError) as error:
            return str(error)
        self._remove_draft()
        composition.draft = MessageKey(folder_name, folder.uidvalidity, uid)
        return ""

    def _message_id(self) -> str:
        return f"{self._request.random_token[-ID_CHARACTERS:]}@{self._request.session.account.domain}"

    def _remove_draft(self) -> None:
        """Remove the composition's message in Drafts, unless another program has removed it already."""
        draft = self.composition.draft
        location = None if draft is None else _found(self._request, draft)
        if location is not None:
            location.folder.expunge([location.uid])
        self.composition.draft = None

    def discard(self) -> Response:
        """Move the draft to Trash; return a redirect to the inbox."""
        session = self._request.session
        if not self.composition.is_empty:
            problem = self._save_draft(folders.TRASH)
            if problem:
                return self.shown(f"The draft was not moved to Trash. {problem}")
            session.notice = "The draft was moved to Trash."
        else:
            self._remove_draft()
        self._staging.remove(self.composition.id)
        return see_other(link("/folder", name=INBOX))

    def send(self) -> Steps:
        """Send the message; return a redirect to a folder, or to the composition's page with an error."""
        request, composition = self._request, self.composition
        try:
            draft = self._draft()
            content = compose_message(draft, request.now, self._message_id())
        except (ComposeError, OSError) as error:
            return self._not_sent(str(error))
        envelope = Envelope(request.session.account.mailbox, draft.recipients, content)
        # A second submission of the same form, by a double click, must not send the message twice.
        request.session.sending.add(composition.id)
        try:
            sent: Submitted = yield Submit(envelope, request.address, Sessions.password(request.token, request.session))
        finally:
            request.session.sending.discard(composition.id)
        refusals = _refusals(sent, draft)
        if sent.outcome is None:
            return self._not_sent(f"The message was not sent. The mail server said: {sent.failure}.")
        if len(refusals) == len(draft.recipients):
            return self._not_sent("The message was not sent. The mail server refused it:", refusals)
        return self._after_submission(draft, content, refusals)

    def _draft(self) -> Draft:
        """Return the composition as a Draft, ready for encoding; raise ComposeError and OSError."""
        values = self.composition.fields
        return Draft(
            NameAddr("", self._request.session.account.mailbox),
            parse_mailbox_list(values["to"], "To field"),
            values["subject"],
            values["text"],
            parse_mailbox_list(values["cc"], "Cc field"),
            parse_mailbox_list(values["bcc"], "Bcc field"),
            self._attachments(),
            self.composition.in_reply_to,
            self.composition.references,
        )

    def _not_sent(self, error: str, refusals: tuple[Refusal, ...] = ()) -> Response:
        """Keep a message that was not sent in Drafts; return a redirect to the composition's page with the error."""
        # Drop the notice of an earlier success, which would be misread beside the error.
        self._request.session.notice = ""
        problem = self._save_draft(folders.DRAFTS)
        session = self._request.session
        if problem:
            session.warning = f"The message could not be saved in Drafts. {problem} This page keeps it for a week."
        else:
            session.notice = "The message is kept in Drafts."
        return self.shown(error, refusals)

    def _after_submission(self, draft: Draft, content: bytes, refusals: tuple[Refusal, ...]) -> Response:
        request, composition = self._request, self.composition
        request.session.warning = _store_copy(request, content)
        if composition.original is not None and composition.way in REPLIES:
            _mark_answered(request, composition.original)
        if refusals:
            _keep_refused(composition, draft, refusals)
            count = len(draft.recipients)
            sent = f"The message was sent to {count - len(refusals)} of {count} recipients."
            refused = (
                f"Not sent to {'this address' if len(refusals) == 1 else 'these addresses'}, which the server refused"
            )
            return self._not_sent(f"{sent} {refused}: correct it here and send again.", refusals)
        self._remove_draft()
        try:
            self._staging.end(composition.id, request.now)
        except OSError:
            self._staging.remove(composition.id)
        request.session.notice = "The message has been sent."
        original = composition.original
        is_there = original is not None and request.maildir.exists(original.folder)
        return see_other(link("/folder", name=original.folder if original is not None and is_there else INBOX))


def _found(request: UserPageRequest, key: MessageKey) -> MessageLocation | None:
    """Return the MessageLocation of the message with a MessageKey, None if the message was removed."""
    values = (("folder", key.folder), ("v", str(key.uidvalidity)), ("uid", str(key.uid)))
    try:
        return find_message(request.maildir, Form(list(values)))
    except PageError:
        return None


def _refusals(sent: Submitted, draft: Draft) -> tuple[Refusal, ...]:
    """Return the refused recipients with the server's replies, empty if all recipients were accepted."""
    if sent.outcome is None:
        return ()
    pairs = zip(draft.recipients, sent.outcome.replies, strict=True)
    return tuple(Refusal(str(mailbox), str(reply)) for mailbox, reply in pairs if not reply.is_positive)


def _keep_refused(composition: Composition, draft: Draft, refusals: tuple[Refusal, ...]) -> None:
    """Remove the accepted recipients from a composition, so that another attempt goes to the refused ones."""
    refused = {refusal.address for refusal in refusals}
    for name, recipients in (("to", draft.to), ("cc", draft.cc), ("bcc", draft.bcc)):
        kept = [each for each in recipients if str(each.mailbox) in refused]
        composition.fields[name] = ", ".join(replies.format_recipient(each.name, each.mailbox) for each in kept)


def _store_copy(request: UserPageRequest, content: bytes) -> str:
    """Store a copy of a sent message in Sent; return a warning for the user, empty on success."""
    try:
        sent = folders.open_folder(request.maildir, folders.SENT)
        sent.append([NewMessage(content)], [frozenset((folders.SEEN,))])
    except (MaildirError, OSError) as error:
        return f"No copy was saved in Sent: {error}"
    return ""


def _mark_answered(request: UserPageRequest, original: MessageKey) -> None:
    location = _found(request, original)
    if location is None:
        return
    try:
        folders.change_flag(location.folder, location.uid, folders.ANSWERED, True)
    except MaildirError:
        return
