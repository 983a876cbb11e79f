"""Compositions: messages that a user is writing in webmail, with their recipients, text, files and state.

A composition is identified by a random id in the URL of the compose page. So a form with an error can be answered by a
redirect to that URL (RFC 9110 section 15.4.4), and Back and Reload display the composition as submitted.
"""

import re
from dataclasses import dataclass, field, replace

REPLY, REPLY_ALL, FORWARD, DRAFT = "reply", "all", "forward", "draft"
REPLIES = (REPLY, REPLY_ALL)
WAYS = (*REPLIES, FORWARD, DRAFT)
FORM_FIELDS = ("to", "cc", "bcc", "subject", "text")
# An id has 32 hexadecimal digits, 128 random bits, like a Message-ID.
ID_CHARACTERS = 32
_ID = re.compile(rf"[0-9a-f]{{{ID_CHARACTERS}}}\Z")


@dataclass(frozen=True, slots=True)
class MessageKey:
    """Identification of a message: IMAP name of the folder, UIDVALIDITY and UID (RFC 3501 section 2.3.1.1)."""

    folder: str
    uidvalidity: int
    uid: int


@dataclass(frozen=True, slots=True)
class ListedFile:
    """An attached file of a composition: its key in forms, name, media type and size.

    The content is in the staging area (staging.py).
    """

    key: str
    name: str
    media_type: str
    octets: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recipient that the submission server has refused, with the server's reply."""

    address: str
    reply: str


@dataclass(slots=True)
class Composition:
    """A message that a user is writing in webmail.

    `original` is the message that it answers or forwards; `draft` is the message in Drafts that is replaced when the
    composition is saved; `error` and `refusals` are the result of the last attempt to send; `sent` is True after the
    composition has been sent.
    """

    id: str
    fields: dict[str, str] = field(default_factory=lambda: dict.fromkeys(FORM_FIELDS, ""))
    way: str = ""
    original: MessageKey | None = None
    draft: MessageKey | None = None
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    files: list[ListedFile] = field(default_factory=list)
    error: str = ""
    refusals: list[Refusal] = field(default_factory=list)
    sent: bool = False
    saved_s: float = 0.0

    @property
    def is_empty(self) -> bool:
        """True if all fields of the form are empty and there are no files: there is nothing to save."""
        return not self.files and not any(value.strip() for value in self.fields.values())

    @property
    def octets(self) -> int:
        """The size of the composition's text and files in octets."""
        text = sum(len(value.encode("utf-8", "replace")) for value in self.fields.values())
        return text + sum(file.octets for file in self.files)

    def free_key(self) -> str:
        """Return a new key that identifies a file in the form, different from those of the composition's files."""
        numbers = (int(file.key[1:]) for file in self.files if file.key[1:].isdigit() and file.key.startswith("f"))
        return f"f{max(numbers, default=0) + 1}"

    def fail(self, error: str, refusals: tuple[Refusal, ...] = ()) -> None:
        """Set the error and the refused recipients that the compose page displays."""
        self.error, self.refusals = error, list(refusals)

    def copy(self) -> "Composition":
        """Return a copy; changes of its fields and files do not affect the original."""
        return replace(self, fields=dict(self.fields), files=list(self.files), refusals=list(self.refusals))


def checked_id(text: str) -> str:
    """Return `text` if it has the form of a composition's id, else an empty string."""
    return text if _ID.match(text) else ""
