"""Build of assignments in virtual time: equal octets in two builds, keys that agree with tshark, and resumption."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.assignments.build import build
from lab7.experiments.assignments.course.roster import Roster
from lab7.experiments.assignments.definition import Question, find_assignment
from lab7.experiments.assignments.grade import KeyStore
from lab7.experiments.assignments.graders import grade_all, submissions_of
from lab7.experiments.assignments.skeleton import write_skeleton
from lab7.experiments.assignments.submissions.names import Course
from lab7.experiments.harness.cli import common
from lab7.experiments.harness.virtual_time.kernel_run import VirtualTime
from tests.emulation.support import eventually
from tests.kernel.assignments import expected_cdn, expected_dns, expected_http, expected_http2, tshark
from tests.kernel.assignments.expected_access import MAIL_ACCESS
from tests.kernel.assignments.expected_ftp import FTP_MODES
from tests.kernel.assignments.expected_smtp import SMTP_MIME

REPOSITORY = Path(__file__).resolve().parents[3]

SECRET = bytes(range(32))
STUDENTS = ("s1", "s2")
EXPECTED = {
    **expected_http.EXPECTED,
    **expected_http2.EXPECTED,
    **expected_dns.EXPECTED,
    **expected_cdn.EXPECTED,
    "ftp-modes": FTP_MODES,
    "mail-access": MAIL_ACCESS,
    "smtp-mime": SMTP_MIME,
}
# Assignments that are built and compared with tshark in each run; the others with the slow tests.
QUICK = {"http-basics"}


@pytest.fixture(scope="module")
def virtual() -> VirtualTime:
    found = common.virtual_time("virtual", "auto", True)
    assert found is not None
    return found


def build_all(name: str, out: Path, virtual: VirtualTime, students: tuple[str, ...] = STUDENTS) -> None:
    results = build(find_assignment(name), name, students, SECRET, out, virtual, 2, lambda _what, _share: None)
    assert [one.error for one in results] == [""] * len(students)


def octets(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_filter(capture: Path, question: Question, key: dict[str, Any]) -> None:
    """Check that a question's display filter selects the frames of its key, and no DNS queries if all are responses."""
    shown, wanted = set(tshark.frames(capture, question.filter)), set(key["frames"])
    assert shown & wanted, f"{question.id}: no frame of the key by the filter"
    if key["form"] == "a number in ms":
        assert wanted <= shown, f"{question.id}: a time between two frames, of which the filter selects one"
    if wanted <= set(tshark.frames(capture, "dns.flags.response == 1")):
        assert not shown & set(tshark.frames(capture, "dns.flags.response == 0")), (
            f"{question.id}: queries by the filter"
        )


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in EXPECTED]
)
def test_keys_agree_with_tshark_and_earn_full_points(name: str, tmp_path: Path, virtual: VirtualTime) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed: sudo apt-get install tshark")
    out = tmp_path / "out"
    build_all(name, out, virtual)
    for student in STUDENTS:
        key = json.loads((out / "keys" / student / "key.json").read_text())
        capture = out / "handouts" / student / "trace.pcapng"
        found = {question: answer(capture, key["values"]) for question, answer in EXPECTED[name].items()}
        assert found == {question: key["answers"][question]["answer"] for question in found}
        rows = "".join(f"  {question}: {json.dumps(one['answer'])}\n" for question, one in key["answers"].items())
        sheet = tmp_path / "in" / f"{student}.yaml"
        sheet.parent.mkdir(exist_ok=True)
        sheet.write_text(f"assignment: {name}\nstudent: {student}\nanswers:\n{rows}")
        for one in find_assignment(name).questions:
            check_filter(capture, one, key["answers"][one.id])
    keys = KeyStore(find_assignment(name), SECRET, out)
    for grade in grade_all(keys, submissions_of("sheet", tmp_path / "in", Course(STUDENTS, Roster({})))):
        assert (grade.earned, grade.flags, grade.problem) == (grade.possible, (), "")
    first, second = ({q: one.answer.shown() for q, one in keys.of(student).items()} for student in STUDENTS)
    assert first != second


def test_two_builds_are_equal_and_an_interrupted_one_continues(tmp_path: Path, virtual: VirtualTime) -> None:
    build_all("http-basics", tmp_path / "one", virtual)
    build_all("http-basics", tmp_path / "two", virtual)
    assert octets(tmp_path / "one") == octets(tmp_path / "two")
    # As kill -9 leaves it: s2 has no key.json yet.
    (tmp_path / "two" / "keys" / "s2" / "key.json").unlink()
    first = (tmp_path / "two" / "keys" / "s1" / "key.json").stat().st_mtime_ns
    build_all("http-basics", tmp_path / "two", virtual)
    assert octets(tmp_path / "one") == octets(tmp_path / "two")
    assert (tmp_path / "two" / "keys" / "s1" / "key.json").stat().st_mtime_ns == first


@pytest.mark.slow
def test_a_build_that_is_killed_continues(tmp_path: Path, virtual: VirtualTime) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "roster.csv").write_text("student\ns1\ns2\ns3\n")
    words = [sys.executable, "-m", "lab7.experiments.harness.cli", "assignment", "build", "http-basics"]
    words += ["--roster", "roster.csv", "--secret", "secret", "-o", "out", "--jobs", "1"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    keys = tmp_path / "out" / "keys"
    with subprocess.Popen(words, cwd=tmp_path, env=environment) as process:
        assert eventually(lambda: (keys / "s1" / "key.json").exists() and any(tmp_path.glob("out/.build-*")), 300)
        process.kill()
    first = (keys / "s1" / "key.json").stat().st_mtime_ns
    assert not (keys / "s3").exists()
    subprocess.run(words, cwd=tmp_path, env=environment, check=True, timeout=600)
    assert (keys / "s1" / "key.json").stat().st_mtime_ns == first
    build_all("http-basics", tmp_path / "whole", virtual, ("s1", "s2", "s3"))
    assert octets(tmp_path / "out") == octets(tmp_path / "whole")


def test_the_skeleton_of_a_new_assignment_can_be_built(
    tmp_path: Path, virtual: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_skeleton(Path(), "my-first")
    build_all("./my-first", tmp_path / "out", virtual, ("s1",))
    answers = json.loads((tmp_path / "out" / "keys" / "s1" / "key.json").read_text())["answers"]
    assert answers["q1"]["answer"].endswith(" ms")
