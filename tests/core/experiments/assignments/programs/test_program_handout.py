"""Hand-outs of program assignments: the task and the public stages, and nothing of the hidden ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from lab7.experiments.assignments.cli import assignment_command
from lab7.experiments.assignments.definition import catalogue, takes_programs
from lab7.experiments.assignments.programs.definition import find_program_assignment

PROGRAMS = [name for name in catalogue() if takes_programs(name)]


def test_there_are_four_assignments_to_build() -> None:
    assert PROGRAMS == ["caching-proxy", "dns-server", "http-server", "smtp-server"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_handout_has_the_public_stages_alone(name: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(assignment_command, ["handout", name, "-o", str(tmp_path / "out")])
    assert (done.exit_code, done.stderr) == (0, "")
    assert {"handout.md", "handout.html"} <= {path.name for path in (tmp_path / "out").iterdir()}
    text, assignment = (tmp_path / "out" / "handout.md").read_text(), find_program_assignment(name)
    statements = {claim.id: claim.statement for claim in assignment.experiment.own_claims}
    for stage in assignment.stages:
        assert (f"| {stage.id}: {stage.title} |" in text) != stage.hidden
        assert all((statements[claim] in text) != stage.hidden for claim in stage.claims)
    assert f"lab7 assignment check {assignment.file} --assignment {name}" in text


def test_a_folder_without_a_task_and_an_assignment_with_captures_are_one_sentence(tmp_path: Path) -> None:
    base = find_program_assignment("http-server").folder
    (tmp_path / "mine").mkdir()
    for name in ("assignment.toml", "exercise.py"):
        (tmp_path / "mine" / name).write_text((base / name).read_text())
    for name, message in (
        (f"{tmp_path}/mine", "mine has no handout.md"),
        ("http-basics", "a hand-out for each student"),
    ):
        done = CliRunner().invoke(assignment_command, ["handout", name, "-o", str(tmp_path / "out")])
        assert done.exit_code == 2
        assert message in done.output
