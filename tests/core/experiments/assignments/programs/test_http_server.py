"""The stages of http-server: a right server passes all, and a bug fails exactly one stage, whose message names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.assignments.catalogue.http_server.exercise import cases_of, decide, make_site
from lab7.experiments.assignments.grade import QuestionGrade
from lab7.experiments.assignments.programs.definition import find_program_assignment
from lab7.experiments.assignments.programs.stages import Evidence, decide_stages
from tests.core.experiments.assignments.programs.transcript import capture_of
from tests.kernel.assignments.programs.bug import Bug
from tests.kernel.assignments.programs.http_bugs import BUGS, SERVER

RIGHT = SERVER.read_text()


def stages(program: str, folder: Path, seed: int = 1, which: str = "all") -> tuple[QuestionGrade, ...]:
    root = folder / "root"
    root.mkdir()
    site = make_site(root, seed)
    captured = capture_of(program, cases_of(site, which), root, folder)
    verdicts = {one.id: one for one in decide(captured, site, which)}
    return decide_stages(find_program_assignment("http-server").stages, Evidence(verdicts))


@pytest.mark.parametrize("seed", range(1, 4))
def test_the_right_server_passes_all_stages(seed: int, tmp_path: Path) -> None:
    assert [one.feedback for one in stages(RIGHT, tmp_path, seed)] == ["passed"] * 8


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_fails_one_stage_with_its_message(bug: Bug, tmp_path: Path) -> None:
    found = stages(bug.program(RIGHT), tmp_path)
    wrong = {
        one.question: one.feedback
        for one in found
        if one.feedback != "passed" and not one.feedback.startswith("not opened")
    }
    assert list(wrong) == [bug.stage]
    assert [part for part in bug.message if part not in wrong[bug.stage]] == []
    assert "Frame " in wrong[bug.stage]
    assert "Octets: " in wrong[bug.stage]


def test_two_seeds_give_other_files(tmp_path: Path) -> None:
    sites = []
    for seed in (1, 2):
        (tmp_path / str(seed)).mkdir()
        sites.append(make_site(tmp_path / str(seed), seed))
    assert sites[0].files.keys() & sites[1].files.keys() == {"/", "/index.html"}
    assert sites[0].files["/"] != sites[1].files["/"]


def test_the_public_cases_come_first_and_leave_out_the_hidden_ones(tmp_path: Path) -> None:
    site = make_site(tmp_path, 1)
    every, public = cases_of(site, "all"), cases_of(site, "public")
    assert [one.sends for one in every[: len(public)]] == [one.sends for one in public]
    hidden = {
        claim for stage in find_program_assignment("http-server").stages if stage.hidden for claim in stage.claims
    }
    assert {one.claim for one in public} & hidden == set()


LINES = {
    "no head": ('connection.sendall(head(status, out))', 'pass', "get", "the line ends in LF alone"),
    "decimal length with a unit": ('= len(content)', '= f"{len(content)} octets"', "get", "has 0 of "),
    "wrong media type": ('".png": "image/png"', '".png": "image/jpeg"', "fields", "Content-Type image/jpeg"),
    "no Date": ('{"Date": date(time.time())}', "{}", "fields", "no Date"),
    "time zone": ("int(path.stat().st_mtime)", "int(path.stat().st_mtime) + 3600", "fields", "Last-Modified "),
    "never closes": ("return keep", "return True", "persistence", "stays open"),
    "ignores the condition": ("if since is None:", "if True:", "conditional", "status 200"),
    "all methods": ('method not in ("GET", "HEAD")', "False", "robustness", "an unknown method"),
    "no Host needed": ('"host" not in fields', "False", "robustness", "without Host"),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_other_faults_are_named(name: str, tmp_path: Path) -> None:
    old, new, stage, message = LINES[name]
    assert old in RIGHT
    wrong = {
        one.question: one.feedback for one in stages(RIGHT.replace(old, new), tmp_path) if one.feedback != "passed"
    }
    assert next(iter(wrong)) == stage
    assert message in wrong[stage]
