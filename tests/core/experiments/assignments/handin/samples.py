"""A hand-in made without a network: a task, a capture with the nonce in a packet, and the signed record."""

from __future__ import annotations

from pathlib import Path

from lab7.experiments.assignments.definition import Assignment, find_assignment
from lab7.experiments.assignments.handin.record import write_handin
from lab7.experiments.assignments.handin.task import TASK_NAME, Task, read_task, task_text
from lab7.experiments.assignments.handin.verification import Verifier
from lab7.experiments.assignments.recording import CAPTURE_NAME
from lab7.experiments.assignments.variant import draw_variant
from lab7.experiments.harness.capture.pcapng import PcapngWriter
from lab7.experiments.harness.clock import Clock
from lab7.experiments.harness.results.result import Check, Fidelity

SECRET = bytes(range(32))
STUDENTS = ("s1", "s2")
VALID = Fidelity("valid", (Check("capture at alice", "0 dropped", "0 dropped of 1", "valid"),))


def network() -> Assignment:
    return find_assignment("network-tools")


def verifier(assignment: Assignment) -> Verifier:
    return Verifier(SECRET, assignment.name, STUDENTS)


def make_task(assignment: Assignment, student: str, folder: Path) -> Task:
    """Write a student's task file into a folder, and read it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TASK_NAME).write_text(task_text(draw_variant(assignment, SECRET, student), SECRET))
    return read_task(folder, assignment.kind)


def make_handin(
    assignment: Assignment, student: str, folder: Path, fidelity: Fidelity = VALID, nonce_of: str | None = None
) -> Path:
    """Write a hand-in into a folder; its capture has the nonce of `nonce_of`, or of the student."""
    task = make_task(assignment, student, folder)
    nonce = draw_variant(assignment, SECRET, nonce_of or student).nonce
    with (folder / CAPTURE_NAME).open("wb") as stream:
        writer = PcapngWriter(stream, list(assignment.interfaces))
        writer.packet(0, 1_000_000_000, bytes(14) + nonce.encode())
    return write_handin(task, folder, Clock(), fidelity)
