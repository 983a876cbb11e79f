"""Drafts of mail messages before MIME encoding: addresses, text, attachments, and validation of fields (RFC 5322).

    >>> parse_mailbox_list("Bob Example <bob@example.com>, carol@example.com")
    (NameAddr(name='Bob Example', mailbox=Mailbox(local_part='bob', domain='example.com')), NameAddr(name='', ...))

Line endings in field text are rejected: they would permit header injection.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lab7.services.mail.address import Mailbox, MailboxError, PathError, parse_mailbox
from lab7.services.mail.agent.limits import ATTACHMENTS_MAX, RECIPIENTS_MAX, TEXT_OCTETS
from lab7.services.mail.message_content.address_list import UncheckedNameAddr, parse_name_addrs
from lab7.services.mail.message_content.limits import FILE_NAME_OCTETS

# Header fields must not contain control characters, Unicode line separators or lone surrogates.
_NOT_IN_FIELDS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,900}>")


class ComposeError(Exception):
    """Error for an invalid draft; the text is one sentence for the author of the message."""


@dataclass(frozen=True, slots=True)
class NameAddr:
    """A mailbox with a display name, which may be empty (name-addr, RFC 5322 section 3.4)."""

    name: str
    mailbox: Mailbox


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attached file: its name, octets and media type; an empty `content_type` is guessed from the name."""

    file_name: str
    content: bytes
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before encoding: addresses, subject, text, attachments.

    `in_reply_to` and `references` are Message-IDs in angle brackets.
    """

    sender: NameAddr
    to: tuple[NameAddr, ...]
    subject: str
    text: str
    cc: tuple[NameAddr, ...] = ()
    bcc: tuple[NameAddr, ...] = ()
    attachments: Sequence[Attachment] = ()
    in_reply_to: str = ""
    references: tuple[str, ...] = ()

    @property
    def recipients(self) -> tuple[Mailbox, ...]:
        """The mailboxes of To, Cc and Bcc, without duplicates."""
        unique = {name_addr.mailbox.key: name_addr.mailbox for name_addr in (*self.to, *self.cc, *self.bcc)}
        return tuple(unique.values())


def field_text(text: str, what: str) -> str:
    """Return `text` if it is valid in a header field; otherwise raise ComposeError.

    `what` names the text in the error message, for example `The subject contains ...`.
    """
    if _NOT_IN_FIELDS.search(text):
        raise ComposeError(f"The {what} contains a line ending or another control character.")
    if len(text.encode("utf-8")) > TEXT_OCTETS:
        raise ComposeError(f"The {what} is longer than {TEXT_OCTETS} octets.")
    return text


def parse_mailbox_list(text: str, what: str = "recipient") -> tuple[NameAddr, ...]:
    """Parse a comma-separated mailbox list with optional display names; raise ComposeError for an invalid entry."""
    text = field_text(text, what)
    if not text.strip():
        return ()
    name_addrs = parse_name_addrs(text.encode("utf-8"))
    if len(name_addrs) > RECIPIENTS_MAX:
        raise ComposeError(f"There are more than {RECIPIENTS_MAX} recipients.")
    return tuple(_validated(name_addr) for name_addr in name_addrs)


def parse_single_mailbox(text: str, what: str) -> NameAddr:
    """Parse exactly one mailbox with an optional display name; raise ComposeError."""
    name_addrs = parse_mailbox_list(text, what)
    if len(name_addrs) != 1:
        raise ComposeError(f"The {what} must be one mailbox such as name@example.com.")
    return name_addrs[0]


def _validated(name_addr: UncheckedNameAddr) -> NameAddr:
    try:
        return NameAddr(name_addr.name, parse_mailbox(name_addr.mailbox_text))
    except (MailboxError, PathError) as error:
        raise ComposeError(f"{name_addr.display_text!r} is not a mailbox such as name@example.com: {error}.") from None


def validate(draft: Draft) -> Draft:
    """Return the draft unchanged if all its fields are valid; raise ComposeError otherwise."""
    if not draft.recipients:
        raise ComposeError("The message needs a recipient.")
    if len(draft.recipients) > RECIPIENTS_MAX:
        raise ComposeError(f"There are more than {RECIPIENTS_MAX} recipients.")
    if len(draft.attachments) > ATTACHMENTS_MAX:
        raise ComposeError(f"There are more than {ATTACHMENTS_MAX} attachments.")
    for name_addr in (draft.sender, *draft.to, *draft.cc, *draft.bcc):
        field_text(name_addr.name, "display name")
    field_text(draft.subject, "subject")
    for attachment in draft.attachments:
        if len(field_text(attachment.file_name, "name of an attachment").encode("utf-8")) > FILE_NAME_OCTETS:
            raise ComposeError(f"The name of an attachment is longer than {FILE_NAME_OCTETS} octets.")
    for message_id in filter(None, (draft.in_reply_to, *draft.references)):
        if not _MESSAGE_ID.fullmatch(message_id):
            raise ComposeError("A Message-ID is enclosed in angle brackets and contains no spaces.")
    return draft
