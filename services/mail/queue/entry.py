"""Queue entry: envelope of a message, state of each recipient, and retry schedule (RFC 5321 section 4.5.4).

An entry, and each later change of it (Change: recipients delivered or failed, time of the next attempt), is encoded as
one line of JSON. In the journal on disk, the message content follows its entry's line.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lab7.services.mail.address import Mailbox
from lab7.services.mail.smtp.syntax import (
    NO_MESSAGE_REQUEST,
    NO_RECIPIENT_REQUEST,
    MessageRequest,
    RecipientRequest,
    Reply,
)

# RFC 5321 section 4.5.4.1 recommends intervals of 30 minutes or more, and more attempts in the first hour.
# RFC 5321 section 4.5.4.1 recommends expiry after four to five days.
RETRY_S = (60.0, 300.0, 900.0, 1800.0)
EXPIRE_S = 5 * 86_400.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """Retry schedule: seconds before attempts 2, 3, ...; the last interval repeats until `expire_s` has passed."""

    retry_s: Sequence[float] = RETRY_S
    expire_s: float = EXPIRE_S

    def wait_s(self, tries: int) -> float:
        """Return the seconds to wait after this number of failed attempts."""
        return self.retry_s[min(tries, len(self.retry_s)) - 1]

    def is_expired(self, accepted_s: float, now_s: float) -> bool:
        """Return True if a message accepted at `accepted_s` has expired at `now_s` and is to be bounced."""
        return now_s - accepted_s >= self.expire_s


def parse_intervals(text: str) -> tuple[float, ...]:
    """Parse a list such as `1,2,4` as intervals in seconds; raises ValueError."""
    intervals = tuple(float(word) for word in text.split(","))
    if not all(0 < interval < float("inf") for interval in intervals):
        raise ValueError(f"{text!r} has an interval that is not positive")
    return intervals


class DecodeError(ValueError):
    """Error for a journal line that cannot be decoded."""


@dataclass(slots=True)
class Recipient:
    """A recipient of a message, and the state of its delivery.

    `original` is the address in the SMTP envelope, if a mailing list or forward was expanded to `mailbox`.
    """

    mailbox: Mailbox
    original: Mailbox | None = None
    is_final: bool = False
    last: Reply | None = None
    request: RecipientRequest = NO_RECIPIENT_REQUEST
    # True if the request was relayed to the server that accepted the message, which then reports on the delivery.
    is_request_relayed: bool = False


@dataclass(frozen=True, slots=True)
class ContentLocation:
    """Location of an entry's message content in the journal: segment number, offset and size in octets."""

    segment: int
    offset: int
    size_octets: int


@dataclass(slots=True)
class Entry:
    """A queued message; times are in seconds since 1970 UTC.

    `content` is None if it has to be read from the journal, at `place`. If `may_be_delivered`, an earlier attempt may
    have delivered the message to a local mailbox before a crash.
    """

    id: str
    accepted_s: float
    reverse_path: Mailbox | None
    recipients: list[Recipient]
    size_octets: int
    is_8bit: bool = False
    tries: int = 0
    next_s: float = 0.0
    content: bytes | None = None
    place: ContentLocation | None = None
    may_be_delivered: bool = False
    request: MessageRequest = NO_MESSAGE_REQUEST
    # RFC 6531: the envelope or the header may be UTF-8.
    is_smtputf8: bool = False

    @property
    def open_recipients(self) -> list[int]:
        """The numbers of the open recipients, to whom the message has neither been delivered nor finally failed."""
        return [at for at, recipient in enumerate(self.recipients) if not recipient.is_final]

    @property
    def is_final(self) -> bool:
        """True if delivery has succeeded or failed for every recipient."""
        return all(recipient.is_final for recipient in self.recipients)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a queue entry: recipients that are final, last replies, number of attempts, time of the next.

    A recipient is final if the message was delivered to it or has failed.
    """

    id: str
    done: Sequence[int] = ()
    last: dict[int, Reply] = field(default_factory=dict)
    tries: int = 0
    next_s: float = 0.0

    def apply(self, entry: Entry) -> None:
        """Apply the change to its queue entry in memory."""
        for at in self.done:
            if at < len(entry.recipients):
                entry.recipients[at].is_final = True
        for at, reply in self.last.items():
            if at < len(entry.recipients):
                entry.recipients[at].last = reply
        entry.tries = max(entry.tries, self.tries)
        entry.next_s = max(entry.next_s, self.next_s)


def _encode_mailbox(mailbox: Mailbox | None) -> list[str] | None:
    return None if mailbox is None else [mailbox.local_part, mailbox.domain]


def _decode_mailbox(pair: list[str] | None) -> Mailbox | None:
    return None if pair is None else Mailbox(pair[0], pair[1])


def _encode_reply(reply: Reply | None) -> list[Any] | None:
    return None if reply is None else [reply.code, reply.text, reply.enhanced, reply.server]


def encode_entry(entry: Entry) -> bytes:
    """Encode a queue entry's envelope and state, without the content, as one journal line of JSON."""
    recipients = [
        [
            _encode_mailbox(recipient.mailbox),
            _encode_mailbox(recipient.original),
            recipient.is_final,
            _encode_reply(recipient.last),
            recipient.request.notify,
            recipient.request.original,
        ]
        for recipient in entry.recipients
    ]
    state: dict[str, Any] = {
        "id": entry.id,
        "accepted_s": entry.accepted_s,
        "from": _encode_mailbox(entry.reverse_path),
        "to": recipients,
        "size_octets": entry.size_octets,
        "is_8bit": entry.is_8bit,
        "tries": entry.tries,
        "next_s": entry.next_s,
        "request": [entry.request.returned, entry.request.envelope_id],
        "is_smtputf8": entry.is_smtputf8,
    }
    return json.dumps(state, separators=(",", ":")).encode("ascii") + b"\n"


def decode_entry(line: bytes) -> Entry:
    """Decode a journal line to a queue entry without its content; raises DecodeError."""
    try:
        state = json.loads(line)
        recipients = []
        # A queue of an earlier version has no DSN requests.
        for mailbox, original, is_final, last, *request in state["to"]:
            reply = Reply(*last) if last else None
            recipient = Recipient(
                Mailbox(*mailbox), _decode_mailbox(original), is_final, reply, RecipientRequest(*request)
            )
            recipients.append(recipient)
        return Entry(
            state["id"],
            state["accepted_s"],
            _decode_mailbox(state["from"]),
            recipients,
            state["size_octets"],
            state["is_8bit"],
            state["tries"],
            state["next_s"],
            request=MessageRequest(*state.get("request", ())),
            is_smtputf8=state.get("is_smtputf8", False),
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DecodeError(str(error)) from error


def encode_change(change: Change) -> bytes:
    """Encode a change as one journal line of JSON."""
    state: dict[str, Any] = {"id": change.id, "done": list(change.done)}
    if change.last:
        state["last"] = {str(at): _encode_reply(reply) for at, reply in change.last.items()}
    if change.tries:
        state |= {"tries": change.tries, "next_s": change.next_s}
    return json.dumps(state, separators=(",", ":")).encode("ascii") + b"\n"


def decode_change(line: bytes) -> Change:
    """Decode a journal line to a change; raises DecodeError."""
    try:
        state = json.loads(line)
        last = {int(at): Reply(*words) for at, words in state.get("last", {}).items()}
        return Change(state["id"], state["done"], last, state.get("tries", 0), state.get("next_s", 0.0))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DecodeError(str(error)) from error
