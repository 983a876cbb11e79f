"""Contents of replies and forwards: recipients, subject, quoted text, References (RFC 5322 section 3.6.4)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lab7.services.mail.address import Mailbox
from lab7.services.mail.message_content.address_list import parse_name_addrs
from lab7.services.mail.message_content.contents import HTML, Contents
from lab7.services.mail.webmail.limits import QUOTED_CHARACTERS
from lab7.services.mail.webmail.views.safe_html import TooMuchHtmlError, plain_text

MESSAGE_ID = re.compile(rb"<[!-;=?-~]{1,900}>")
_REPLY = re.compile(r"re\s*:", re.IGNORECASE)
_FORWARD = re.compile(r"fwd?\s*:", re.IGNORECASE)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_PLAIN_NAME = re.compile(r"[\w .'-]*\Z")
_FIELDS = ((b"from", "From"), (b"date", "Date"), (b"subject", "Subject"), (b"to", "To"), (b"cc", "Cc"))
# Maximum number of characters of a prefilled recipient list; further recipients are left out.
_RECIPIENTS_CHARACTERS = 5_000


@dataclass(frozen=True, slots=True)
class Prefill:
    """Values of the compose form's fields for a reply or forward."""

    to: str
    cc: str
    subject: str
    text: str


def reply(contents: Contents, own: Mailbox, to_all: bool) -> Prefill:
    """Return the form fields of a reply to the author, or with `to_all` to all participants except the user (`own`).

    A reply to the user's own message goes to the recipients of that message.
    """
    header = contents.root.header
    reply_to = header.first(b"reply-to") or header.first(b"from") or b""
    to = format_recipients([reply_to], ())
    others = format_recipients(header.all(b"to"), (own,)), format_recipients(header.all(b"cc"), (own,))
    if not format_recipients([reply_to], (own,)) and others[0]:
        to, others = others[0], ("", others[1])
    subject = one_line(contents.field(b"subject"))
    date, sender = (one_line(contents.field(name)) for name in (b"date", b"from"))
    attribution = (f"On {date}, " if date else "") + f"{sender or 'the sender'} wrote:\n"
    lines = quoted_text(contents).split("\n")
    quoted = "".join(f">{line}\n" if line.startswith(">") else f"> {line}\n" for line in lines)
    return Prefill(
        to,
        ", ".join(filter(None, others)) if to_all else "",
        subject if _REPLY.match(subject) else f"Re: {subject}",
        f"\n\n{attribution}{quoted}",
    )


def forward(contents: Contents) -> Prefill:
    """Return the form fields of a forward: subject and quoted text.

    The attachments are not among them: the form lists them separately.
    """
    subject = one_line(contents.field(b"subject"))
    lines = [f"{title}: {one_line(contents.field(name))}" for name, title in _FIELDS if contents.field(name)]
    head = "\n".join(["", "", "---------- Forwarded message ----------", *lines])
    return Prefill(
        "", "", subject if _FORWARD.match(subject) else f"Fwd: {subject}", f"{head}\n\n{quoted_text(contents)}"
    )


def quoted_text(contents: Contents) -> str:
    """Return a message's text for quotation, truncated to QUOTED_CHARACTERS."""
    return plain_texts(contents)[:QUOTED_CHARACTERS].rstrip("\n")


def plain_texts(contents: Contents) -> str:
    """Return the displayed text of a message; HTML is converted to text."""
    texts = []
    for leaf in contents.texts(html=False):
        text = contents.text(leaf)
        if leaf.media_type == HTML:
            try:
                text = plain_text(text)
            except TooMuchHtmlError:
                text = ""
        texts.append(text)
    return "\n".join(texts)


def format_recipients(values: Iterable[bytes], excluded: Iterable[Mailbox]) -> str:
    """Return the mailboxes of address fields as a comma-separated list, each once and without those in `excluded`."""
    left_out = {mailbox.key for mailbox in excluded}
    recipients: dict[tuple[str, str], str] = {}
    for value in values:
        for name_addr in parse_name_addrs(value):
            if name_addr.mailbox.local_part and name_addr.mailbox.domain and name_addr.mailbox.key not in left_out:
                recipients.setdefault(
                    name_addr.mailbox.key, format_recipient(one_line(name_addr.name), name_addr.mailbox)
                )
    text = ""
    for entry in recipients.values():
        if len(text) + len(entry) < _RECIPIENTS_CHARACTERS:
            text = f"{text}, {entry}" if text else entry
    return text


def format_recipient(name: str, mailbox: Mailbox) -> str:
    """Return a mailbox with its display name as text for the recipient fields of the form."""
    address = one_line(str(mailbox))
    if not name or name == address:
        return address
    quoted = name if _PLAIN_NAME.match(name) else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{quoted} <{address}>"


def one_line(text: str) -> str:
    """Replace line endings and other control characters, which header fields cannot have, by spaces."""
    return _CONTROLS.sub(" ", text).strip()


def references(contents: Contents) -> tuple[str, tuple[str, ...]]:
    """Return (In-Reply-To, References) of a reply to a message (RFC 5322 section 3.6.4)."""
    header = contents.root.header
    own = MESSAGE_ID.search(header.first(b"message-id") or b"")
    if own is None:
        return "", ()
    before = header.first(b"references") or header.first(b"in-reply-to") or b""
    earlier = [message_id.decode("ascii") for message_id in MESSAGE_ID.findall(before)]
    last = own[0].decode("ascii")
    return last, tuple(dict.fromkeys([*earlier, last]))
