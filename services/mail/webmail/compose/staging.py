"""Staging area for messages being written (compositions): state and files, in a directory beside the mail folders.

    lab7-webmail/ID/composition.json        list of files, errors, and the draft message that is replaced on saving
    lab7-webmail/ID/fields.json             recipients, subject and text
    lab7-webmail/ID/f1                      the content of a file

So a composition survives a refused form, a failed submission, and a restart of the server. The number and size of a
user's compositions are limited; a composition that was not changed for STAGED_S is removed. Several processes may share
the staging area: a lock serialises changes. Files of the staging area do not count against the mailbox quota.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lab7.services.mail.agent.drafts import Attachment
from lab7.services.mail.agent.limits import ATTACHMENTS_MAX
from lab7.services.mail.maildir.delivery import locked, read_file
from lab7.services.mail.maildir.folder_names import INBOX
from lab7.services.mail.maildir.store import Maildir
from lab7.services.mail.webmail.compose.composition import (
    FORM_FIELDS,
    Composition,
    ListedFile,
    MessageKey,
    Refusal,
    checked_id,
)
from lab7.services.mail.webmail.limits import (
    COMPOSITION_OCTETS_MAX,
    COMPOSITIONS_OF_USER_MAX,
    STAGED_OCTETS_OF_USER_MAX,
    STAGED_S,
)

DIRECTORY = "lab7-webmail"
_STATE, _FIELDS = "composition.json", "fields.json"


class StagingError(Exception):
    """Error for a composition that is too large or has too many files; the text is one sentence for the user."""


class Staging:
    """The compositions (messages being written) of one user, with their files, in a directory of the user's Maildir."""

    def __init__(self, maildir: Maildir) -> None:
        self._root = f"{maildir.path_of(INBOX)}/{DIRECTORY}"

    def find(self, composition_id: str, now: float) -> Composition | None:
        """Return a composition by its id; None if it is unknown, expired or damaged."""
        state = self._state(composition_id, now)
        octets = None if state is None else read_file(f"{self._root}/{composition_id}/{_FIELDS}")
        if state is None or octets is None:
            return None
        try:
            values = json.loads(octets)
            state.composition.fields = {name: str(values[name]) for name in FORM_FIELDS}
        except (ValueError, TypeError, KeyError):
            return None
        return state.composition

    def of_draft(self, draft: MessageKey, now: float) -> str:
        """Return the id of the composition that was begun from a draft message, empty if there is none."""
        found = [each.composition for each in self._states(now) if each.composition.draft == draft]
        return max(found, key=lambda each: each.saved_s).id if found else ""

    def content(self, composition: Composition, file: ListedFile) -> Attachment:
        """Return an attached file of a composition with its content, as an Attachment; raises OSError."""
        with open(f"{self._root}/{composition.id}/{file.key}", "rb") as stream:
            return Attachment(file.name, stream.read(), file.media_type)

    def put(self, composition: Composition, contents: Mapping[str, bytes], now: float) -> None:
        """Store a composition and `contents`: the octets of its new files, keyed by ListedFile.key.

        Other compositions of the user are removed to make room: sent ones, then the least recently saved. Raises
        StagingError above COMPOSITION_OCTETS_MAX and ATTACHMENTS_MAX, and OSError.
        """
        if len(composition.files) > ATTACHMENTS_MAX:
            raise StagingError(f"A message may have {ATTACHMENTS_MAX} files.")
        if composition.octets > COMPOSITION_OCTETS_MAX:
            raise StagingError(
                f"The text and the files of a message may have {COMPOSITION_OCTETS_MAX // 1_000_000} MB together."
            )
        os.makedirs(self._root, mode=0o700, exist_ok=True)
        with locked(f"{self._root}/lock"):
            self._make_room(composition, now)
            directory = f"{self._root}/{composition.id}"
            os.makedirs(directory, mode=0o700, exist_ok=True)
            for file in composition.files:
                if file.key in contents:
                    _write(f"{directory}/{file.key}", contents[file.key])
            composition.saved_s = now
            state = asdict(composition) | {"octets": composition.octets}
            _write(f"{directory}/{_FIELDS}", json.dumps(state.pop("fields")).encode("ascii"))
            _write(f"{directory}/{_STATE}", json.dumps(state).encode("ascii"))
            kept = {_STATE, _FIELDS, *(file.key for file in composition.files)}
            for name in os.listdir(directory):
                if name not in kept:
                    with contextlib.suppress(OSError):
                        os.unlink(f"{directory}/{name}")

    def end(self, composition_id: str, now: float) -> None:
        """Replace a composition by a marker that it was sent: after Back in the browser, it cannot be sent twice.

        Raises OSError.
        """
        self.put(Composition(composition_id, sent=True), {}, now)

    def remove(self, composition_id: str) -> None:
        """Remove a composition and its files, if it exists."""
        if checked_id(composition_id):
            shutil.rmtree(f"{self._root}/{composition_id}", ignore_errors=True)

    def sweep(self, now: float) -> None:
        """Remove the user's expired compositions from the staging area."""
        if not self._ids():
            return
        with locked(f"{self._root}/lock"):
            self._remove_expired(now)

    def _remove_expired(self, now: float) -> dict[str, "_State"]:
        """Remove expired and damaged compositions; return the _State of the others, keyed by composition id."""
        states = {each.composition.id: each for each in self._states(now)}
        for name in self._ids():
            if name not in states:
                self.remove(name)
        return states

    def _make_room(self, composition: Composition, now: float) -> None:
        """Remove expired compositions, then others as long as the limits on number and size are exceeded.

        The markers of sent messages are removed first, then the least recently saved compositions.
        """
        others = self._remove_expired(now)
        others.pop(composition.id, None)
        # Remove the markers of sent messages first: a marker contains no data of the user.
        oldest = sorted(others.values(), key=lambda each: (not each.composition.sent, each.composition.saved_s))
        octets = composition.octets + sum(each.octets for each in oldest)
        while oldest and (len(oldest) >= COMPOSITIONS_OF_USER_MAX or octets > STAGED_OCTETS_OF_USER_MAX):
            removed = oldest.pop(0)
            octets -= removed.octets
            self.remove(removed.composition.id)

    def _ids(self) -> list[str]:
        try:
            return [name for name in os.listdir(self._root) if checked_id(name)]
        except FileNotFoundError:
            return []

    def _states(self, now: float) -> list["_State"]:
        return [found for name in self._ids() if (found := self._state(name, now)) is not None]

    def _state(self, composition_id: str, now: float) -> "_State | None":
        """Return the content of a composition's composition.json; None if it is unknown, expired or damaged."""
        if not checked_id(composition_id):
            return None
        octets = read_file(f"{self._root}/{composition_id}/{_STATE}")
        try:
            state = None if octets is None else _decoded(json.loads(octets))
        except (ValueError, TypeError, KeyError):
            return None
        return state if state is not None and now - state.composition.saved_s <= STAGED_S else None


@dataclass(frozen=True, slots=True)
class _State:
    """The parsed file composition.json: a composition without the values of its form fields, and its size in octets."""

    composition: Composition
    octets: int


def _write(path: str, content: bytes) -> None:
    """Write a file by an atomic rename, without fsync(): the staging area need not survive a power failure."""
    new = f"{path}.new"
    with open(new, "wb") as file:
        file.write(content)
    os.rename(new, path)


def _decoded(values: dict[str, Any]) -> _State:
    """Build a _State from the JSON object in composition.json; raise KeyError and TypeError if it is invalid."""
    octets = int(values.pop("octets"))
    values["original"] = MessageKey(**values["original"]) if values["original"] else None
    values["draft"] = MessageKey(**values["draft"]) if values["draft"] else None
    values["references"] = tuple(values["references"])
    values["files"] = [ListedFile(**each) for each in values["files"]]
    values["refusals"] = [Refusal(**each) for each in values["refusals"]]
    return _State(Composition(**values), octets)
