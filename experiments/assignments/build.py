"""Build of an assignment for all students of a course: capture, hand-out and answer sheet per student, and answer keys.

    out/handouts/s1234567/      for the student: trace.pcapng, trace.pcap, handout.html, .md, .pdf, answers.yaml
    out/keys/s1234567/          for the teacher: key.json, key.html, variant.json (the student's parameters)

Two kinds of assignment have another hand-out, with a file task.json (the student's parameters, and a key that signs the
student's results). If students predict numbers (kind `predict`), the capture is kept with the answer key. If students
capture their own work in an emulated network (kind `network`), there is neither capture nor answer sheet.

A student's folder is complete once its key.json exists, which is written last. If a build is interrupted, even by
SIGKILL, the next build therefore continues with the missing students and leaves complete folders unchanged.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab7.experiments.assignments import handout
from lab7.experiments.assignments.definition import (
    KINDS_WITH_TASK,
    NETWORK_KIND,
    PREDICT_KIND,
    Assignment,
    AssignmentError,
    Key,
)
from lab7.experiments.assignments.handin.task import TASK_NAME, task_text
from lab7.experiments.assignments.recording import CAPTURE_NAME, CERTIFICATE_NAME, request_of
from lab7.experiments.assignments.sheet import SHEET_NAME, blank_sheet
from lab7.experiments.assignments.variant import Variant, draw_variant, read_keys
from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.harness.results.atomic import write_atomically
from lab7.experiments.harness.virtual_time.kernel_run import VirtualTime

HANDOUTS, KEYS, KEY_NAME, VARIANT_NAME = "handouts", "keys", "key.json", "variant.json"
# Prefix of the temporary folder of a student's build; the process id follows.
_SCRATCH = ".build-"
# Only the owner reads the keys: other accounts of the machine may be those of students.
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
_PCAP_HEADER = struct.Struct("<IHHiIII")
_PCAP_RECORD = struct.Struct("<IIII")
# Header of a pcap file: magic number for time stamps in ns, version 2.4, and LINKTYPE_ETHERNET.
_PCAP_NS, _SNAP_LENGTH, _ETHERNET = 0xA1B23C4D, 262_144, 1

Step = Callable[[str, float], None]


@dataclass(frozen=True)
class Built:
    """Result of the build of an assignment for one student.

    `built`: True if the student's folders were made now, False if by an earlier build; `error`: reason of a failure, as
    a sentence; empty if there was no failure.
    """

    student: str
    built: bool
    error: str = ""


def build(
    assignment: Assignment,
    called: str,
    students: Sequence[str],
    secret: bytes,
    out: Path,
    virtual: VirtualTime | None,
    jobs: int,
    step: Step,
) -> list[Built]:
    """Build an assignment for all students, `jobs` at a time; return a result for each student.

    called: the assignment's name or folder. A failure for one student is reported in that student's result, and does
    not affect the others. Raises AssignmentError, SecretError.
    """
    variants = [draw_variant(assignment, secret, student) for student in students]
    _remove_scratch(out)
    require_same_build(assignment, secret, out)
    done = 0

    def one(variant: Variant) -> Built:
        nonlocal done
        try:
            built = build_student(variant, called, out, virtual, secret)
            found = Built(variant.student, built)
        except Exception as error:
            stopped = virtual is not None and virtual.stopped
            found = Built(variant.student, False, "stopped" if stopped else str(error) or type(error).__name__)
        done += 1
        step(f"{done} of {len(variants)}", done / len(variants))
        return found

    with ThreadPoolExecutor(jobs) as pool:
        try:
            return list(pool.map(one, variants))
        except BaseException:
            if virtual is not None:
                virtual.stop("stopped")
            pool.shutdown(cancel_futures=True)
            raise


def _remove_scratch(out: Path) -> None:
    """Remove temporary folders that killed build processes have left behind."""
    for folder in out.glob(f"{_SCRATCH}*"):
        process = folder.name.removeprefix(_SCRATCH).partition("-")[0]
        if not Path("/proc", process).exists():
            shutil.rmtree(folder, ignore_errors=True)


def require_same_build(assignment: Assignment, secret: bytes, out: Path) -> None:
    """Raise AssignmentError if `out` has a build of another assignment, or with another course secret or version."""
    for path in sorted((out / KEYS).glob(f"*/{VARIANT_NAME}")):
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            name, student, values = kept["assignment"], kept["student"], dict(kept["values"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AssignmentError(f"{path} cannot be read: build {assignment.name} into another folder") from error
        if name != assignment.name:
            raise AssignmentError(f"{out} has a build of {name}, not of {assignment.name}: give another folder")
        variant = draw_variant(assignment, secret, student)
        if values.get("nonce") != variant.nonce:
            raise AssignmentError(
                f"this secret is not the one of the build in {out}: give that secret, or another folder"
            )
        if values != variant.values:
            raise AssignmentError(
                f"{out} was built by another version of {assignment.name} or of lab7, which draws other values: "
                "use that version, or another folder"
            )


def build_student(variant: Variant, called: str, out: Path, virtual: VirtualTime | None, secret: bytes) -> bool:
    """Build one student's hand-out and answer key unless they exist; return True if they were built now.

    virtual: settings of the user-mode kernel in which the capture is recorded; None for the kind `network`, which has
    no recording. Raises AssignmentError, EmulationError.
    """
    given, kept = out / HANDOUTS / variant.student, out / KEYS / variant.student
    if (kept / KEY_NAME).exists() and given.is_dir():
        return False
    out.mkdir(parents=True, exist_ok=True)
    kind = variant.assignment.kind
    with tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-", dir=out) as text:
        work = Path(text)
        keys: Mapping[str, Key] = {}
        if virtual is not None:
            record(variant, called, work, virtual)
            keys = read_keys(variant, work / CAPTURE_NAME)
        write_handout(variant, keys, work)
        kept.mkdir(parents=True, exist_ok=True)
        for folder in (kept.parent, kept):
            folder.chmod(_PRIVATE_FOLDER)
        if kind in KINDS_WITH_TASK:
            (work / TASK_NAME).write_text(task_text(variant, secret), encoding="utf-8")
        kept_names = (CERTIFICATE_NAME, CAPTURE_NAME) if kind == PREDICT_KIND else (CERTIFICATE_NAME,)
        for name in kept_names:
            if (work / name).exists():
                shutil.move(work / name, kept / name)
        work.chmod(0o755)
        given.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(given, ignore_errors=True)
        shutil.copytree(work, given)
    write_key(variant, keys, kept)
    for path in kept.iterdir():
        path.chmod(_PRIVATE_FILE)
    return True


def capture_of(assignment: Assignment, out: Path, student: str) -> Path:
    """Return the path of a student's capture in the folder of a build.

    The capture is beside the answer key for the kind `predict`, otherwise in the student's hand-out.
    """
    return out / (KEYS if assignment.kind == PREDICT_KIND else HANDOUTS) / student / CAPTURE_NAME


def record(variant: Variant, called: str, folder: Path, virtual: VirtualTime) -> None:
    """Record the capture of a student's network into a folder, in a user-mode kernel. Raises EmulationError."""
    request = request_of(variant.assignment, called, variant.values, variant.seed)
    request |= {"kind": "call", "function": "lab7.experiments.assignments.recording:record"}
    seeded = replace(virtual, seed=variant.seed)
    seeded.call(folder, f"the capture of {variant.student}", request, lambda _what, _share: None)


def write_handout(variant: Variant, keys: Mapping[str, Key], folder: Path) -> None:
    """Write a student's hand-out (Markdown, HTML, PDF), answer sheet and pcap file into the folder of the capture."""
    forms = {name: key.answer.form() for name, key in keys.items()}
    markdown = handout.handout_markdown(variant, forms)
    (folder / handout.HANDOUT_NAME).write_text(markdown, encoding="utf-8")
    (folder / "handout.html").write_text(handout.to_html(variant.assignment.title, markdown), encoding="utf-8")
    handout.write_pdf(folder / "handout.pdf", variant.assignment.title, markdown)
    if variant.assignment.kind == NETWORK_KIND:
        return
    ordered = {question.id: forms[question.id] for question in variant.assignment.questions}
    (folder / SHEET_NAME).write_text(blank_sheet(variant.assignment.name, variant.student, ordered), encoding="utf-8")
    if variant.assignment.kind != PREDICT_KIND:
        write_pcap(folder / CAPTURE_NAME, folder / "trace.pcap")


def write_key(variant: Variant, keys: Mapping[str, Key], folder: Path) -> None:
    """Write a student's answer key; key.json is written last, and marks a complete build."""
    folder.mkdir(parents=True, exist_ok=True)
    if keys:
        markdown = handout.key_markdown(variant, keys)
        (folder / "key.html").write_text(
            handout.to_html(f"Key: {variant.assignment.title}", markdown), encoding="utf-8"
        )
    values = {"student": variant.student, "assignment": variant.assignment.name, "values": variant.values}
    (folder / VARIANT_NAME).write_text(_json(values), encoding="utf-8")
    answers = {
        name: {"answer": key.answer.shown(), "form": key.answer.form(), "frames": list(key.frames)}
        for name, key in keys.items()
    }
    write_atomically(folder / KEY_NAME, _json({**values, "answers": answers}))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def write_pcap(source: Path, target: Path) -> None:
    """Convert a pcapng file to a pcap file with nanosecond time stamps; interface names are lost, as pcap has none."""
    frames = read_capture(source).frames
    with target.open("wb") as stream:
        stream.write(_PCAP_HEADER.pack(_PCAP_NS, 2, 4, 0, 0, _SNAP_LENGTH, _ETHERNET))
        for frame in frames:
            seconds, nanoseconds = divmod(frame.time_ns, 1_000_000_000)
            stream.write(_PCAP_RECORD.pack(seconds, nanoseconds, len(frame.data), frame.wire_length))
            stream.write(frame.data)
