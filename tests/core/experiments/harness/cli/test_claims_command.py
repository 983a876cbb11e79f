"""`lab7 claims`: the verdicts of lab7's own services, of other programs beside them, and of single claims."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lab7.experiments.harness.catalogue.known_claims import known_claims
from lab7.experiments.harness.claims import load_claims
from lab7.experiments.harness.cli import load_command
from lab7.experiments.harness.discovery import all_experiments
from lab7.experiments.harness.judge.frames import FrameNumber
from lab7.experiments.harness.judge.verdict import Verdict, shown
from lab7.experiments.harness.report.page import write_index
from lab7.experiments.harness.results.result import new_folder
from tests.core.experiments.harness.samples import sample_result

NGINX = "origin=nginx 1.22.1"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """H5 shown by lab7's own services, and later failed by another origin."""
    runs = [("2030-01-01T00:00:00Z", "shown", {}), ("2030-01-02T00:00:00Z", "failed", {"origin": "nginx 1.22.1"})]
    for started, word, replaced in runs:
        claims = (Verdict("H5", word, f"It is {word}."),)  # type: ignore[arg-type]
        result = sample_result(experiment="http-versions", started=started, claims=claims, replaced=replaced)
        result.save(new_folder(tmp_path, "http-versions"))
    return tmp_path


def claims(results: Path, *words: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(load_command("claims"), [*words, "--results", str(results)])


def test_another_program_has_a_line_of_its_own(results: Path) -> None:
    lines = claims(results).output.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("H5 ")] == ["shown"]
    (row,) = [line for line in lines if line.startswith(NGINX)]
    assert row.removeprefix(NGINX).split() == ["0", "1", "0", "H5"]


def test_the_json_has_the_verdicts_by_implementation(results: Path) -> None:
    (found,) = json.loads(claims(results, "H5", "--json").output)
    assert (found["id"], found["verdict"]) == ("H5", "shown")
    assert {name: one["verdict"] for name, one in found["by_implementation"].items()} == {NGINX: "failed"}


def test_one_claim_is_shown_with_its_evidence_and_runs(results: Path) -> None:
    said = claims(results, "h5").output
    assert load_claims()["H5"].statement in said.replace("\n", " ")
    assert "shown by lab7 in http-versions: It is shown." in said
    assert f"failed by {NGINX} in http-versions: It is failed." in said
    assert "H6" not in said


def test_the_start_of_ids_stands_for_a_group_and_a_whole_id_for_one(results: Path) -> None:
    ids = [one["id"] for one in json.loads(claims(results, "F", "H1", "--json").output)]
    assert ids == [name for name in load_claims() if name.startswith("F")] + ["H1"]


@pytest.mark.parametrize("name", ["V1", "K1", "A1"])
def test_a_claim_that_an_experiment_declares_is_known_before_and_after_its_run(tmp_path: Path, name: str) -> None:
    claim = known_claims()[name]
    (found,) = json.loads(claims(tmp_path, name, "--json").output)
    assert (found["statement"], found["check"], found["verdict"]) == (claim.statement, claim.check, None)
    verdict = shown(name, "It was seen.", [FrameNumber(1, "kept.pcapng"), FrameNumber(23, "kept.pcapng")])
    sample_result(experiment="mine", claims=(verdict,)).save(new_folder(tmp_path, "mine"))
    said = " ".join(claims(tmp_path, name).output.split())
    assert claim.statement in said
    assert "It was seen. [frames 1, 23 of kept.pcapng]" in said
    assert name in {one["id"] for one in json.loads(claims(tmp_path, name[0], "--json").output)}
    page = write_index(tmp_path, known_claims()).read_text(encoding="utf-8")
    row = page[page.index(f'id="claim-{name}"') :].partition("</li>")[0]
    assert f'<span class="statement">{claim.statement}</span>' in html.unescape(row)
    assert f"1 of {len(known_claims())} claims have been judged" in page
    assert "Claims of single experiments" not in page


def test_every_claim_that_an_experiment_judges_is_known() -> None:
    assert {claim for one in all_experiments().values() for claim in one.claims} <= known_claims().keys()


def test_an_unknown_claim_is_a_usage_error(results: Path) -> None:
    done = claims(results, "X9")
    assert done.exit_code == 2
    assert "unknown claim 'X9'" in done.output


def test_the_index_keeps_the_course_s_verdict_and_shows_the_other_beside_it(results: Path) -> None:
    page = write_index(results, load_claims()).read_text(encoding="utf-8")
    claim = page[page.index('id="claim-H5"') : page.index('id="claim-H6"')]
    assert claim.index('class="badge shown"') < claim.index('class="badge failed"')
    assert f"with {NGINX}: It is failed." in claim
    runs = page[page.index('id="runs"') :]
    assert f'<span class="badge variant">{NGINX}</span>' in runs
    assert "rtt_s=0.1" in runs
    assert "origin: lab7.services.http.origin" in runs
