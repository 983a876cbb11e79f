"""Base subject: the part of a Subject that a message shares with its replies and forwards (RFC 5256 section 2.1).

base_subject("Re: [list] Fwd: lunch (fwd)") == BaseSubject("lunch", is_reply=True)
"""

import re
from dataclasses import dataclass

# Maximum characters of a subject for the extraction, whose time grows with the square of the number of [blobs].
_CHARACTERS_MAX = 1000
_BLANKS = re.compile(r"[ \t\r\n]+")
_TRAILER = re.compile(r"(?:\(fwd\)|\s)\Z", re.IGNORECASE)
_BLOB = re.compile(r"\[[^\[\]]*\]\s*")
_LEADER = re.compile(rf"(?:{_BLOB.pattern})*(?:re|fwd?)\s*(?:{_BLOB.pattern})?:\s*", re.IGNORECASE)
_FORWARD = re.compile(r"\[fwd:(.*)\]\Z", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class BaseSubject:
    """A base subject; `is_reply` is True if a reply or forward mark such as `Re:` or `Fwd:` was removed."""

    text: str
    is_reply: bool


def base_subject(subject: str) -> BaseSubject:
    """Extract the base subject of a decoded Subject, in the six steps of RFC 5256 section 2.1."""
    text = _BLANKS.sub(" ", subject[:_CHARACTERS_MAX])
    is_reply = False
    while True:
        # Step 2: remove trailers.
        while match := _TRAILER.search(text):
            is_reply = is_reply or match[0].lower() == "(fwd)"
            text = text[: match.start()]
        text, is_leader = _without_leaders(text.lstrip())
        is_reply = is_reply or is_leader
        # Step 6 of RFC 5256 section 2.1: remove "[fwd: " and "]" around the subject.
        forward = _FORWARD.match(text)
        if forward is None:
            return BaseSubject(text, is_reply)
        text, is_reply = forward[1], True


def _without_leaders(text: str) -> tuple[str, bool]:
    """Remove subj-leaders such as `Re: ` (step 3) and subj-blobs such as `[list]` (step 4) until none is left (step 5).

    Returns the rest, and True if a subj-leader was removed. A blob stays if nothing would follow it.
    """
    is_reply = False
    while True:
        if leader := _LEADER.match(text):
            text, is_reply = text[leader.end() :], True
        elif (blob := _BLOB.match(text)) and blob.end() < len(text):
            text = text[blob.end() :]
        else:
            return text, is_reply
