"""Signed record of a student's run in a hand-in: lab7 version, clock, capture check, file digests, signature.

    handin.zip
        record.json         {format, kind, assignment, student, lab7, made, clock, fidelity, files {name: SHA-256},
                            signature}
        trace.pcapng        the capture
        predictions.json    predicted numbers, for assignments of the kind `predict`

`lab7` is the version of lab7, `made` the time of the record, and `clock` the clock of the run: real or virtual.
`fidelity` is the fidelity certificate: one check per captured interface that the kernel dropped no packets.

The signature is HMAC-SHA-256 (RFC 2104) over the record without the field `signature`, as JSON with sorted keys and
without spaces. By the digests in the record, the signature covers the files, too. A hand-in is untrusted input: sizes
are limited, names are checked, and JSON that is nested too deeply is an error.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from lab7.experiments.assignments.definition import NAME, AssignmentError
from lab7.experiments.assignments.handin.task import Task
from lab7.experiments.assignments.recording import CAPTURE_NAME
from lab7.experiments.harness.clock import Clock
from lab7.experiments.harness.results.atomic import write_atomically
from lab7.experiments.harness.results.result import Fidelity, ResultError, decode

RECORD_NAME, HANDIN_NAME, PREDICTIONS_NAME = "record.json", "handin.zip", "predictions.json"
FILES = (CAPTURE_NAME, PREDICTIONS_NAME)
FORMAT = 1
RECORD_BYTES_MAX, FILE_BYTES_MAX = 1 << 20, 256 << 20
_STUDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\Z")
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Record:
    """Signed record (record.json) of the run in which a student's capture was made.

    It has the student, the assignment, the clock, the emulation's fidelity certificate, and the files' SHA-256 digests;
    the signature is in hexadecimal.
    """

    format: int
    kind: str
    assignment: str
    student: str
    lab7: str
    made: str
    clock: Clock
    fidelity: Fidelity
    files: Mapping[str, str]
    signature: str = ""

    def signed(self, key: bytes) -> str:
        """Return the signature of the record with a key: HMAC-SHA-256 in hexadecimal."""
        content = {name: value for name, value in asdict(self).items() if name != "signature"}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hmac.digest(key, text.encode(), hashlib.sha256).hex()

    def is_signed_by(self, key: bytes) -> bool:
        """Return True if the record's signature was made with this key."""
        return hmac.compare_digest(self.signature.encode(), self.signed(key).encode())


@dataclass(frozen=True)
class HandIn:
    """Hand-in of a student as read from its files: the record, and the folder with the signed files."""

    record: Record
    folder: Path

    @property
    def capture(self) -> Path:
        """The path of the capture file."""
        return self.folder / CAPTURE_NAME

    def changes(self) -> list[str]:
        """Return a clause for each signed file that is missing or changed, and for each file that is not signed."""
        found = []
        for name in FILES:
            path, signed = self.folder / name, self.record.files.get(name)
            if signed is None:
                found += [f"{name} is not part of the record"] if path.exists() else []
            elif path.is_symlink() or not path.is_file():
                found.append(f"{name} is missing")
            elif (digest := sha256(path)) != signed:
                found.append(f"{name} was changed after the run: its SHA-256 is {digest[:16]}..., not {signed[:16]}...")
        return found


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def now() -> str:
    """Return the current time in UTC as ISO 8601 text, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_handin(task: Task, folder: Path, clock: Clock, fidelity: Fidelity) -> Path:
    """Sign the files of a run in a folder, write record.json and handin.zip, and return the path of the zip file."""
    assignment = task.variant.assignment
    files = {name: sha256(folder / name) for name in FILES if (folder / name).exists()}
    start = (FORMAT, assignment.kind, assignment.name, task.variant.student, metadata.version("lab7"), now())
    unsigned = Record(*start, clock, fidelity, files)
    record = Record(**{**vars(unsigned), "signature": unsigned.signed(task.key)})
    write_atomically(folder / RECORD_NAME, json.dumps(asdict(record), indent=2) + "\n")
    path = folder / HANDIN_NAME
    partial = path.with_name(f".{path.name}.part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (RECORD_NAME, *files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(entry, (folder / name).read_bytes())
    partial.replace(path)
    return path


def read_handin(place: Path, scratch: Path) -> HandIn:
    """Read a hand-in from its zip file, or from a folder with the zip file or its files. Raises AssignmentError.

    scratch: an empty folder into which a zip file is unpacked.
    """
    folder = place
    if place.is_dir() and not place.is_symlink():
        zips = sorted(path for path in place.rglob("*") if path.suffix.lower() == ".zip" and path.is_file())
        if not (place / RECORD_NAME).is_file() and zips:
            place = zips[0]
    if place.is_symlink() or (folder / RECORD_NAME).is_symlink():
        raise AssignmentError(f"{place.name} is or has a symbolic link, which is not read: hand in {HANDIN_NAME}")
    if place.suffix in (".yaml", ".yml", ".py"):
        raise AssignmentError(f"{place.name} has no signature: answer sheets and programs are graded without one")
    if place.is_file():
        _unpack(place, scratch)
        folder = scratch
    path = folder / RECORD_NAME
    try:
        with path.open("rb") as stream:
            content = json.loads(stream.read(RECORD_BYTES_MAX))
        record: Record = decode(Record, content, RECORD_NAME)
    except FileNotFoundError as error:
        raise AssignmentError(f"{place.name} has no {RECORD_NAME}: hand in {HANDIN_NAME}, as lab7 wrote it") from error
    except (OSError, ValueError, RecursionError) as error:
        reason = f" ({error})" if isinstance(error, ResultError) else ""
        raise AssignmentError(f"{RECORD_NAME} of {place.name} cannot be read{reason}: hand in {HANDIN_NAME}") from error
    if record.format != FORMAT:
        raise AssignmentError(
            f"{RECORD_NAME} of {place.name} is of format {record.format}, which this lab7 cannot read"
        )
    texts = [
        record.kind,
        record.lab7,
        record.made,
        *(text for one in record.fidelity.checks for text in asdict(one).values()),
    ]
    if not _STUDENT.match(record.student) or not NAME.match(record.assignment) or not all(map(str.isprintable, texts)):
        raise AssignmentError(
            f"{RECORD_NAME} of {place.name} has names that lab7 does not write: hand in {HANDIN_NAME}"
        )
    return HandIn(record, folder)


def _unpack(path: Path, target: Path) -> None:
    """Unpack the known files of a hand-in, and no others. Raises AssignmentError if a file is too large."""
    try:
        with zipfile.ZipFile(path) as archive:
            # Ignore folders: in a zip file made from a folder, each name begins with that of the folder.
            for entry in archive.infolist():
                name = Path(entry.filename).name
                if name not in (RECORD_NAME, *FILES) or entry.is_dir() or (target / name).exists():
                    continue
                with archive.open(entry) as source:
                    content = source.read(FILE_BYTES_MAX + 1)
                if len(content) > FILE_BYTES_MAX:
                    raise AssignmentError(f"{name} in {path.name} has more than {FILE_BYTES_MAX >> 20} MiB")
                (target / name).write_bytes(content)
    except (OSError, ValueError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, AssignmentError):
            raise
        raise AssignmentError(f"{path.name} is not a zip file that can be read: hand in {HANDIN_NAME}") from error
