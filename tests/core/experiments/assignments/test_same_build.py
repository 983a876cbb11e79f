"""Commands on a build with another course secret, assignment or version: exit 2, one sentence, nothing graded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lab7.experiments.assignments.build import write_key
from lab7.experiments.assignments.cli import assignment_command
from lab7.experiments.assignments.definition import find_assignment
from lab7.experiments.assignments.variant import draw_variant
from tests.core.experiments.assignments.handin.samples import SECRET, make_handin

WRONG = "this secret is not the one of the build in out"


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two secrets, of which the first is that of the builds."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "other").write_bytes(SECRET[::-1])
    (tmp_path / "roster.csv").write_text("student\ns1\n")
    return tmp_path


def built(name: str, out: Path, student: str = "s1") -> None:
    """Write what a build keeps of a student; captures are not read, since commands stop before."""
    write_key(draw_variant(find_assignment(name), SECRET, student), {}, out / "keys" / student)


def run(words: str) -> Result:
    return CliRunner().invoke(assignment_command, words.split())


@pytest.mark.parametrize("name", ["http-basics", "dns-resolution", "http-prediction", "network-tools"])
def test_grade_refuses_another_secret(name: str, course: Path) -> None:
    built(name, course / "out")
    (course / "in" / "s1").mkdir(parents=True)
    (course / "in" / "s1" / "answers.yaml").write_text(f"assignment: {name}\nstudent: s1\nanswers: {{q1: 4}}\n")
    found = run(f"grade in --assignment {name} --secret other --build out")
    assert (found.exit_code, WRONG in found.output) == (2, True), found.output
    assert not (course / "grades").exists()


def test_bundle_and_build_refuse_another_secret(course: Path) -> None:
    built("network-tools", course / "out")
    for words in (
        "bundle network-tools --secret other --build out --gradescope autograder.zip",
        "build network-tools --secret other --roster roster.csv -o out",
    ):
        found = run(words)
        assert (found.exit_code, WRONG in found.output) == (2, True), found.output
    assert not (course / "autograder.zip").exists()


def test_verify_refuses_another_secret_than_that_of_the_build(course: Path) -> None:
    built("network-tools", course / "out")
    handin = make_handin(find_assignment("network-tools"), "s1", course / "work")
    found = run(f"verify {handin} --secret other --build out")
    assert (found.exit_code, WRONG in found.output) == (2, True), found.output
    assert run(f"verify {handin} --secret secret --build out").exit_code == 0
    without = run(f"verify {handin} --secret other")
    assert (without.exit_code, "not the secret of the build" in without.output) == (1, True)


@pytest.mark.parametrize("student", ["s1", "s9"])
def test_a_build_of_another_assignment_is_named(student: str, course: Path) -> None:
    built("http-basics", course / "out", student)
    for words in (
        "build network-tools --secret secret --roster roster.csv -o out",
        "bundle network-tools --secret secret --build out --gradescope autograder.zip",
    ):
        found = run(words)
        assert found.exit_code == 2
        assert "out has a build of http-basics, not of network-tools" in found.output


def test_another_version_is_told_from_another_secret(course: Path) -> None:
    built("http-basics", course / "out")
    path = course / "out" / "keys" / "s1" / "variant.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "values": {**kept["values"], "added": 1}}))
    (course / "in").mkdir()
    found = run("grade in --assignment http-basics --secret secret --build out")
    assert (found.exit_code, "another version of http-basics" in found.output) == (2, True)
    path.write_text("{")
    found = run("grade in --assignment http-basics --secret secret --build out")
    assert (found.exit_code, "cannot be read" in found.output) == (2, True)
