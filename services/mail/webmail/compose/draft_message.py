"""Draft messages: encoding of a webmail composition as a message in the folder Drafts, and the reverse decoding.

    From: alice@example.com
    To: bob@example.com, carol
    Bcc: eve@example.net
    Subject: A picture
    X-Draft-Info: type=reply; uid=7; uidvalidity=1795442557; folder=INBOX

Drafts of other mail programs are decoded as well. A draft may be incomplete: a recipient field that is not yet a
mailbox list is stored as typed. X-Draft-Info, a field of Roundcube, identifies the original of a reply or forward; the
original of a reply is marked as answered when the reply is sent.
"""

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

from lab7.services.mail.address import Mailbox
from lab7.services.mail.agent import fields
from lab7.services.mail.agent.composition import compose_body, truncate_references
from lab7.services.mail.agent.drafts import Attachment, ComposeError, NameAddr, parse_mailbox_list
from lab7.services.mail.agent.limits import TEXT_OCTETS
from lab7.services.mail.delivery.trace import date_time
from lab7.services.mail.message_content.address_list import parse_name_addrs
from lab7.services.mail.message_content.contents import Contents
from lab7.services.mail.mime.words import decode_words
from lab7.services.mail.webmail.compose.composition import FORWARD, REPLIES, Composition, MessageKey
from lab7.services.mail.webmail.compose.replies import MESSAGE_ID, format_recipient, one_line, plain_texts

_RECIPIENT_FIELDS = (("to", "To"), ("cc", "Cc"), ("bcc", "Bcc"))
_INFO = b"x-draft-info"
_INFO_CHARACTERS = 2_000
_NUMBER = re.compile(r"[0-9]{1,10}\Z")


def encode_draft(
    composition: Composition, attachments: Sequence[Attachment], sender: Mailbox, date_s: float, message_id: str
) -> bytes:
    """Encode a composition as a draft message; `date_s` in seconds since 1970 UTC; raise ComposeError."""
    lines = [f"Date: {date_time(date_s)}\r\n", fields.mailbox_list("From", [NameAddr("", sender)])]
    for key, name in _RECIPIENT_FIELDS:
        if text := one_line(composition.fields[key]):
            lines.append(_recipients(name, text))
    lines.append(f"Message-ID: <{message_id}>\r\n")
    if composition.in_reply_to:
        lines.append(fields.word_list("In-Reply-To", [composition.in_reply_to]))
    if composition.references:
        lines.append(fields.word_list("References", composition.references))
    lines.append(fields.unstructured("Subject", _shortened(one_line(composition.fields["subject"]))))
    if composition.original is not None and composition.way in (*REPLIES, FORWARD):
        lines.append(fields.unstructured("X-Draft-Info", _info(composition.way, composition.original)))
    header = "".join([*lines, "MIME-Version: 1.0\r\n"]).encode("ascii")
    return header + compose_body(composition.fields["text"], attachments, message_id)


def _recipients(name: str, text: str) -> str:
    try:
        return fields.mailbox_list(name, parse_mailbox_list(text, name))
    except ComposeError:
        return fields.unstructured(name, _shortened(text))


def _shortened(text: str) -> str:
    return text.encode("utf-8", "replace")[:TEXT_OCTETS].decode("utf-8", "ignore")


def _info(way: str, original: MessageKey) -> str:
    values = {"type": way, "uid": original.uid, "uidvalidity": original.uidvalidity, "folder": original.folder}
    return urlencode(values).replace("&", "; ")


def decode_draft(contents: Contents, composition: Composition) -> None:
    """Fill a composition with the fields, text, In-Reply-To and References of a draft message."""
    header = contents.root.header
    for key, name in _RECIPIENT_FIELDS:
        composition.fields[key] = ", ".join(filter(None, map(_listed, header.all(name.lower().encode("ascii")))))
    composition.fields["subject"] = one_line(contents.field(b"subject"))
    composition.fields["text"] = plain_texts(contents).removesuffix("\n")
    answered = MESSAGE_ID.search(header.first(b"in-reply-to") or b"")
    composition.in_reply_to = "" if answered is None else answered[0].decode("ascii")
    known = MESSAGE_ID.findall(header.first(b"references") or b"")
    composition.references = truncate_references(tuple(dict.fromkeys(each.decode("ascii") for each in known)))
    composition.way, composition.original = _original(contents.field(_INFO))


def _listed(value: bytes) -> str:
    """Convert a recipient field of a draft message to the text shown in the form.

    The text is a list of mailboxes, or the field unchanged if a mailbox is incomplete.
    """
    name_addrs = parse_name_addrs(value)
    if all(each.mailbox.local_part and each.mailbox.domain for each in name_addrs):
        return ", ".join(format_recipient(each.name, each.mailbox) for each in name_addrs)
    return one_line(decode_words(value))


def _original(info: str) -> tuple[str, MessageKey | None]:
    """Parse an X-Draft-Info field; return (type such as `reply` or `forward`, key of the original message).

    Returns ("", None) if a value is missing or invalid.
    """
    values = dict(parse_qsl(info[:_INFO_CHARACTERS].replace("; ", "&")))
    way, folder = values.get("type", ""), values.get("folder", "")
    numbers = values.get("uidvalidity", ""), values.get("uid", "")
    if way not in (*REPLIES, FORWARD) or not folder or not all(_NUMBER.match(number) for number in numbers):
        return "", None
    return way, MessageKey(folder, int(numbers[0]), int(numbers[1]))
