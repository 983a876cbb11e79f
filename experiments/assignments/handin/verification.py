"""Verification of a student's hand-in: signature, file digests, nonce in the capture, and drops during the capture.

The signature reveals files that were changed without the student's task file, which has the signing key (see
handin.task). The nonce, a random text drawn for the student and sent in the traffic, reveals a capture of another
student. Students can sign files that they have changed, since they have their own task file. Such changes are detected
only by the content of the capture and, for the kind `predict`, by the teacher's own measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.handin.record import HandIn, read_handin
from lab7.experiments.assignments.handin.task import signing_key
from lab7.experiments.harness.capture.pcapng import CaptureReadError
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from lab7.experiments.harness.results.result import Fidelity


@dataclass(frozen=True)
class Verifier:
    """Secrets for the verification of hand-ins: course secret, assignment's name, and the ids of all students.

    The nonces of all students are searched for in a hand-in's capture.
    """

    secret: bytes
    assignment: str
    students: Sequence[str] = ()

    def key(self, student: str) -> bytes:
        """Return the key that signs the hand-ins of a student."""
        return signing_key(self.secret, self.assignment, student)

    def nonce(self, student: str) -> str:
        """Return the nonce that a student's capture must contain."""
        return Draw(self.secret, self.assignment, student).nonce


@dataclass(frozen=True)
class Verified:
    """Result of a verification: (name of the check, finding) for each check, and a clause for each problem.

    `captured`: the capture, None if unreadable; `foreign`: other students whose nonces are in the capture.
    """

    handin: HandIn
    lines: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    captured: CaptureFile | None = field(default=None, repr=False)
    foreign: tuple[str, ...] = ()

    def others(self, student: str) -> tuple[str, ...]:
        """Return the ids of students other than `student` that the findings and problems contain."""
        return tuple({one: None for one in (self.handin.record.student, *self.foreign) if one != student})


def verify(place: Path, scratch: Path, verifier: Verifier | None, student: str | None = None) -> Verified:
    """Verify a hand-in at a path; return the findings and problems.

    verifier: None to check only the file digests and the emulation's fidelity certificate, without signature and nonce;
    scratch: an empty folder; student: id of the student who submitted it, if known. Raises AssignmentError if the
    hand-in cannot be read.
    """
    handin = read_handin(place, scratch)
    record = handin.record
    problems = handin.changes()
    lines = [
        ("student", record.student),
        ("assignment", f"{record.assignment} ({record.kind})"),
        ("lab7", f"{record.lab7}, on {record.made}"),
        ("clock", record.clock.word + (f", kernel {record.clock.kernel}" if record.clock.kernel else "")),
        ("certificate", _certificate(record.fidelity)),
        ("files", "; ".join(problems) or f"{', '.join(record.files)}: unchanged since the run"),
    ]
    wrong = [check for check in record.fidelity.checks if check.verdict == "suspect"]
    if wrong or record.fidelity.verdict == "suspect":
        why = f" ({wrong[0].name}: {wrong[0].measured})" if wrong else ""
        problems.append(f"the run is suspect{why}: run it again")
    captured = _captured(handin, problems)
    if verifier is None:
        lines.append(("signature", "not verified: give the course secret by --secret"))
        return Verified(handin, tuple(lines), tuple(problems), captured)
    # The student's id is untrusted input, since it is read from the hand-in.
    if record.is_signed_by(verifier.key(record.student)):
        lines.append(("signature", f"by the task file of {record.student}"))
    else:
        lines.append(("signature", f"not by the task file of {record.student}"))
        problems.append(
            f"the signature is not the one of {record.student}: the record was changed or made by hand, "
            "or this is not the secret of the build"
        )
    if record.assignment != verifier.assignment:
        problems.append(f"it is of the assignment {record.assignment}, not {verifier.assignment}")
    if student is not None and record.student != student:
        problems.append(f"it was made with the task file of {record.student}, not of {student}")
    word, foreign = _nonce(captured, verifier, record.student, problems)
    lines.append(("nonce", word))
    return Verified(handin, tuple(lines), tuple(problems), captured, foreign)


def _certificate(fidelity: Fidelity) -> str:
    checks = "; ".join(f"{check.name}: {check.measured}" for check in fidelity.checks)
    return f"{fidelity.verdict} ({checks})"


def _captured(handin: HandIn, problems: list[str]) -> CaptureFile | None:
    if not handin.capture.is_file():
        return None
    try:
        return read_capture(handin.capture)
    except CaptureReadError as error:
        problems.append(f"{handin.capture.name} cannot be read ({error})")
        return None


def _nonce(
    captured: CaptureFile | None, verifier: Verifier, student: str, problems: list[str]
) -> tuple[str, tuple[str, ...]]:
    """Search a hand-in's capture for nonces; return (finding as text, other students whose nonces are in the capture).

    Appends a clause to `problems` if the capture has another student's nonce, or lacks the student's own.
    """
    if captured is None:
        return "no capture", ()
    own = verifier.nonce(student)
    others = [one for one in verifier.students if one != student]
    found = find_nonces(captured, {verifier.nonce(one): one for one in (student, *others)})
    foreign = tuple(sorted(found - {student}))
    if foreign:
        problems.append(f"the capture is that of {', '.join(foreign)}")
        return f"of {', '.join(foreign)}", foreign
    if student not in found:
        # Omit the nonce, which another student could otherwise use: the submitter may not be this student.
        problems.append(f"the nonce of {student} is in no packet: nothing was fetched, or it is another's capture")
        return f"{own} in no packet", ()
    return f"of {student}", ()


def find_nonces(captured: CaptureFile, students: dict[str, str]) -> set[str]:
    """Return the students whose nonces are in the frames of a capture; `students` maps nonce -> student id."""
    marks = {nonce.encode(): student for nonce, student in students.items()}
    found = set()
    for frame in captured.frames:
        for mark in [mark for mark in marks if mark in frame.data]:
            found.add(marks.pop(mark))
    return found
