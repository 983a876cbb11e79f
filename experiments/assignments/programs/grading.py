"""Grading of students' programs: one test run per submission in a user-mode Linux kernel, and points per stage.

    out/runs/s1234567/          capture.pcapng, result.json, report.html of the run, program (the copy that ran)
    out/runs/s1234567/grade.json   the grade, with the digest of the submission, written last

A stage is a group of tests. Grades are decided outside of the kernel, from result and capture, after the kernel and all
processes in it have ended. A stored grade of the same submission, assignment and seed is kept, so that grading
continues after an interruption. A program that does not start, loops forever or floods the network gets the points that
its packets up to then have earned. A run gets no grade if it failed because of lab7, or if a check of the emulation
failed, such as packets dropped by the capture.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from lab7.experiments.analysis.inspection import inspect
from lab7.experiments.assignments.course.lateness import Deadline
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.grade import NO_SUBMISSION, Grade, QuestionGrade
from lab7.experiments.assignments.programs.definition import ProgramAssignment, Stage
from lab7.experiments.assignments.programs.stages import Evidence, decide_stages
from lab7.experiments.assignments.programs.submission import Submission
from lab7.experiments.assignments.programs.trial import ENDED_NAME, NETWORK, PROGRAM_NAME, request_of
from lab7.experiments.harness.capture.pcapng import CaptureReadError
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.measurement import CAPTURE_NAME
from lab7.experiments.harness.results.atomic import write_atomically
from lab7.experiments.harness.results.deviations import EARLY
from lab7.experiments.harness.results.incomplete import salvage_captures
from lab7.experiments.harness.results.result import RESULT_NAME, Result, ResultError
from lab7.experiments.harness.virtual_time.kernel_run import StandstillError, StoppedError, VirtualTime
from lab7.topologies.emulation.errors import EmulationError, UserFileError

RUNS, GRADE_NAME = "runs", "grade.json"
# Limit in seconds of processor time without progress of the virtual clock, after the start of the program. lab7 itself
# needs a few seconds between two requests.
STILL_LIMIT_S = 30.0
ENDED_MAX = 400

Step = Callable[[str, float], None]


class NotGradedError(Exception):
    """Failure of a test run that prevents its grading; the message is one clause."""


@dataclass(frozen=True)
class Grading:
    """Settings of one grading run, shared by all submissions.

    called: the assignment's name or folder; virtual: the user-mode kernel for the test runs; out: folder of the
    results; stages: the stages to be graded.
    """

    assignment: ProgramAssignment
    called: str
    virtual: VirtualTime
    out: Path
    stages: tuple[Stage, ...]
    parameters: Mapping[str, str]

    def context(self, seed: int) -> list[bytes]:
        """Return the octets, other than the program, that determine a grade.

        They are the contents of the assignment's files, and seed, stages and parameters as JSON.
        """
        files = [path.read_bytes() for path in self.assignment.sources]
        asked = json.dumps([seed, [stage.id for stage in self.stages], dict(self.parameters)])
        return [*files, asked.encode()]


def grade_programs(
    grading: Grading,
    submissions: Mapping[str, Submission],
    students: Sequence[str],
    secret: bytes,
    jobs: int,
    deadline: Deadline,
    step: Step,
) -> list[Grade]:
    """Grade the submissions of these students, `jobs` at a time; return the grades in the order of `students`.

    Raises SecretError, and StoppedError when the grading is stopped.
    """
    done = 0

    def one(student: str) -> Grade:
        nonlocal done
        seed = Draw(secret, grading.assignment.name, student).seed
        if student in submissions:
            submission = submissions[student]
            days = deadline.days(student, submission.modified_s)
            grade = grade_submission(grading, submission, seed).less_late(grading.assignment.late, days)
        else:
            grade = Grade(student, 0, grading.assignment.points, problem=NO_SUBMISSION)
        done += 1
        step(f"{done} of {len(students)}", done / len(students))
        return grade

    with ThreadPoolExecutor(jobs) as pool:
        try:
            return list(pool.map(one, students))
        except BaseException:
            grading.virtual.stop("stopped")
            pool.shutdown(cancel_futures=True)
            raise


def grade_submission(grading: Grading, submission: Submission, seed: int) -> Grade:
    """Return the grade of a submission; the stored grade is reused if program and settings are unchanged.

    Raises StoppedError.
    """
    folder = grading.out / RUNS / submission.student
    digest = submission.digest(grading.context(seed))
    kept = _read_grade(folder / GRADE_NAME, digest)
    if kept is not None:
        return kept
    possible = sum(stage.points for stage in grading.stages)
    if submission.fault:
        evidence = Evidence({}, ended=submission.fault)
    else:
        try:
            evidence = try_program(grading, submission, seed, folder)
        except NotGradedError as error:
            return Grade(submission.student, 0, possible, problem=str(error))
    stages = decide_stages(grading.stages, evidence)
    flags = (evidence.ended,) if evidence.ended else ()
    grade = Grade(submission.student, sum(one.earned for one in stages), possible, stages, flags=flags)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / GRADE_NAME, json.dumps({"digest": digest, "grade": asdict(grade)}, indent=2) + "\n")
    return grade


def _read_grade(path: Path, digest: str) -> Grade | None:
    """Return the grade stored for a submission with this digest; None if there is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        grade = data["grade"]
        questions = tuple(QuestionGrade(**one) for one in grade["questions"])
        others = tuple(grade.get("others", ()))
        kept = Grade(**{**grade, "questions": questions, "flags": tuple(grade["flags"]), "others": others})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return kept if data.get("digest") == digest else None


def try_program(grading: Grading, submission: Submission, seed: int, folder: Path) -> Evidence:
    """Test a submission by a run of the experiment in a new folder; return the evidence that decides the stages.

    The evidence: verdicts on the claims, message rules that the program violated, and an early end of the program.
    Raises NotGradedError, StoppedError.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        submission.copy_to(folder / PROGRAM_NAME)
    except OSError as error:
        raise NotGradedError(f"the submission cannot be copied ({error.strerror})") from error
    steps: list[str] = []
    started = datetime.now(UTC).isoformat(timespec="seconds")
    request = request_of(grading.called, grading.parameters, seed, started)
    seeded = replace(grading.virtual, seed=seed, still_limit_s=STILL_LIMIT_S)
    ended = ""
    try:
        seeded.call(folder, f"the trial of {submission.student}", request, lambda what, _share: steps.append(what))
    except StoppedError:
        raise
    except StandstillError as error:
        if not any(step != NETWORK for step in steps):
            raise NotGradedError(f"lab7 failed ({error}): grade again") from error
        ended = f"the program computed or started processes without end (at the step {steps[-1]!r})"
        salvage_captures(folder)
    except EmulationError as error:
        raise NotGradedError(f"lab7 failed ({error}): grade again") from error
    return read_evidence(grading, folder, seed, ended)


def read_evidence(grading: Grading, folder: Path, seed: int, ended: str = "") -> Evidence:
    """Return the evidence (verdicts, violated rules, early end) of the test run in a folder.

    Raises NotGradedError if lab7 failed, or if a check of the emulation failed (`suspect`).
    """
    ended = ended or _end_of_program(folder)
    try:
        captured = read_capture(folder / CAPTURE_NAME) if (folder / CAPTURE_NAME).exists() else None
    except CaptureReadError:
        captured = None
    if (folder / RESULT_NAME).exists():
        try:
            result = Result.load(folder)
        except (ResultError, OSError) as error:
            raise NotGradedError(f"lab7 failed ({error}): grade again") from error
        early = next((check.measured for check in result.fidelity.checks if check.name == EARLY), "")
        if early:
            # A fault caused by the program has ended the run early (harness.results.deviations.ended_early).
            ended = ended or early
        elif result.fidelity.verdict == "suspect":
            wrong = next((check.name for check in result.fidelity.checks if check.verdict == "suspect"), "fidelity")
            raise NotGradedError(f"the run is suspect ({wrong}): grade again")
        verdicts: Sequence[Verdict] = result.claims
    else:
        verdicts = _partial(grading, captured, seed)
        if not ended:
            raise NotGradedError("lab7 failed (the trial has no result): grade again")
    violations = inspect(captured).violations if captured is not None and grading.assignment.sender else ()
    own = tuple(one for one in violations if one.sender == grading.assignment.sender)
    return Evidence({verdict.id: verdict for verdict in verdicts}, own, ended)


def _partial(grading: Grading, captured: CaptureFile | None, seed: int) -> Sequence[Verdict]:
    """Return the verdicts that the capture of an interrupted run supports; empty if the exercise decides none."""
    decide = getattr(grading.assignment.module, "partial", None)
    if captured is None or decide is None:
        return ()
    with tempfile.TemporaryDirectory() as place:
        try:
            found: Sequence[Verdict] = decide(captured, Path(place), seed, dict(grading.parameters))
        except UserFileError:
            return ()
    return found


def _end_of_program(folder: Path) -> str:
    """Return the clause about the program's early end that the test run has stored; empty if it ran to the end."""
    try:
        text = str(json.loads((folder / ENDED_NAME).read_text(encoding="utf-8"))["ended"])
    except (OSError, ValueError, KeyError):
        return ""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:ENDED_MAX]
