"""Message composition: encoder of a mail draft as a MIME message (RFC 5322; RFC 2045 to 2047, 2183, 2231).

    compose_message(draft, 1795442557.0, "123.456@example.org")      draft, seconds since 1970 UTC, Message-ID

    Date: Mon, 23 Nov 2026 14:02:37 +0000
    From: alice@example.org
    To: bob@example.com
    Message-ID: <123.456@example.org>
    Subject: A picture
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary="=_..."

    --=_...
    Content-Type: text/plain; charset="us-ascii"
    ...
    --=_...
    Content-Type: image/jpeg
    Content-Transfer-Encoding: base64
    Content-Disposition: attachment; filename="picture.jpg"
    ...

The same draft, date and Message-ID give the same octets. Lines end in CRLF and all octets are ASCII, so that no server
extension such as 8BITMIME is needed. Left out: HTML bodies and encryption.
"""

import base64
import quopri
import re
from collections.abc import Sequence
from email.message import Message
from email.policy import compat32
from hashlib import sha256

from lab7.services.http.files.static import UNKNOWN_TYPE, content_type
from lab7.services.mail.agent import fields
from lab7.services.mail.agent.drafts import Attachment, ComposeError, Draft, field_text, validate
from lab7.services.mail.agent.limits import LINE_OCTETS, MESSAGE_OCTETS, REFERENCES_MAX
from lab7.services.mail.delivery.trace import date_time

_POLICY = compat32.clone(linesep="\r\n", cte_type="7bit")
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}\Z")
# RFC 2046 sections 5.1 and 5.2.1: composite types permit no base64, so declare such files application/octet-stream.
_HOLDS_PARTS = ("multipart/", "message/")


def compose_message(draft: Draft, date_s: float, message_id: str) -> bytes:
    """Encode a draft as a message; raise ComposeError if a field is invalid.

    `date_s` is in seconds since 1970 UTC; `message_id` is without angle brackets. The message has no Bcc field.
    """
    draft = validate(draft)
    body = compose_body(draft.text, draft.attachments, message_id)
    content = _header(draft, date_s, message_id).encode("ascii") + body
    if len(content) > MESSAGE_OCTETS:
        raise ComposeError(f"The message is larger than {MESSAGE_OCTETS} octets.")
    return content


def compose_body(text: str, attachments: Sequence[Attachment], message_id: str) -> bytes:
    """Encode a text and attachments; return the MIME header fields and the body of a message. Raises ComposeError."""
    part = _text_part(text)
    return _octets(_mixed(part, attachments, message_id) if attachments else part)


def _header(draft: Draft, date_s: float, message_id: str) -> str:
    lines = [f"Date: {date_time(date_s)}\r\n", fields.mailbox_list("From", [draft.sender])]
    if draft.to:
        lines.append(fields.mailbox_list("To", draft.to))
    if draft.cc:
        lines.append(fields.mailbox_list("Cc", draft.cc))
    lines.append(f"Message-ID: <{field_text(message_id, 'Message-ID')}>\r\n")
    if draft.in_reply_to:
        lines.append(fields.word_list("In-Reply-To", [draft.in_reply_to]))
    if draft.references:
        lines.append(fields.word_list("References", truncate_references(draft.references)))
    # RFC 2045 section 4: the header of a MIME message has the field MIME-Version.
    return "".join([*lines, fields.unstructured("Subject", draft.subject), "MIME-Version: 1.0\r\n"])


def truncate_references(references: tuple[str, ...]) -> tuple[str, ...]:
    """Return at most REFERENCES_MAX Message-IDs for References: the first (the thread's root) and the latest."""
    return references if len(references) <= REFERENCES_MAX else (references[0], *references[1 - REFERENCES_MAX :])


def _octets(part: Message) -> bytes:
    octets = part.as_bytes(policy=_POLICY)
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def _text_part(text: str) -> Message:
    """Build the text part of a message, encoded as 7bit if possible, else as quoted-printable or base64.

    Of the two, the shorter is used.

    RFC 2045 section 6.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text if not text or text.endswith("\n") else text + "\n"
    try:
        octets = text.encode("utf-8")
    except UnicodeEncodeError:
        raise ComposeError("The text contains a lone surrogate.") from None
    part = Message()
    is_plain = (
        octets.isascii() and b"\0" not in octets and all(len(line) <= LINE_OCTETS for line in octets.split(b"\n"))
    )
    part["Content-Type"] = f'text/plain; charset="{"us-ascii" if octets.isascii() else "utf-8"}"'
    # RFC 2046 section 4.1.1: encode the canonical form of text, which has CRLF line ends, as base64.
    quoted, based = quopri.encodestring(octets), base64.encodebytes(octets.replace(b"\n", b"\r\n"))
    if is_plain:
        encoding, body = "7bit", octets
    elif len(quoted) <= len(based):
        encoding, body = "quoted-printable", quoted
    else:
        encoding, body = "base64", based
    part["Content-Transfer-Encoding"] = encoding
    part.set_payload(body.decode("ascii"))
    return part


def _mixed(text: Message, attachments: Sequence[Attachment], message_id: str) -> Message:
    """Build a multipart/mixed entity of the text and the attachments (RFC 2046 section 5.1.3)."""
    whole = Message()
    # RFC 2045 section 6.7: "=_" occurs in no encoded body; the digest makes the boundary improbable in 7bit text.
    boundary = "=_" + sha256(message_id.encode("utf-8")).hexdigest()[:40]
    whole["Content-Type"] = f'multipart/mixed; boundary="{boundary}"'
    whole.set_payload([text, *(_file_part(attachment) for attachment in attachments)])
    return whole


def _file_part(attachment: Attachment) -> Message:
    part = Message()
    part["Content-Type"] = media_type(attachment)
    part["Content-Transfer-Encoding"] = "base64"
    name = attachment.file_name
    # RFC 2231 section 4: encode file names that are not ASCII, or that look like an encoded word.
    is_plain = name.isascii() and "=?" not in name
    part.add_header("Content-Disposition", "attachment", filename=name if is_plain else ("utf-8", "", name))
    part.set_payload(base64.encodebytes(attachment.content).decode("ascii"))
    return part


def media_type(attachment: Attachment) -> str:
    """Return an attachment's media type: the declared type, else a guess from the file name."""
    kind = attachment.content_type.partition(";")[0].strip().lower()
    if not _TYPE.match(kind):
        kind = content_type(attachment.file_name).decode("ascii").partition(";")[0]
    return UNKNOWN_TYPE if kind.startswith(_HOLDS_PARTS) else kind
