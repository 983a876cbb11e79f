"""Predictions: what was committed cannot be changed, and distances earn points by bands."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lab7.experiments.assignments.answer_types import AnswerError, Number, Predicted
from lab7.experiments.assignments.definition import AssignmentError, find_assignment, load_assignment
from lab7.experiments.assignments.handin.record import PREDICTIONS_NAME
from lab7.experiments.assignments.handin.task import Task
from lab7.experiments.assignments.predictions.command import predict_command
from lab7.experiments.assignments.predictions.commitment import commit, read_predictions
from lab7.experiments.assignments.sheet import Sheet, blank_sheet
from lab7.experiments.assignments.skeleton import write_skeleton
from tests.core.experiments.assignments.handin.samples import make_task

NAME = "http-prediction"
ANSWERS = {question.id: "100 ms" for question in find_assignment(NAME).questions}


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return make_task(find_assignment(NAME), "s1", tmp_path / "handout")


def test_the_same_predictions_are_committed_once(task: Task, tmp_path: Path) -> None:
    first = commit(task, Sheet(NAME, "s1", ANSWERS), tmp_path)
    before = (tmp_path / PREDICTIONS_NAME).read_bytes()
    assert commit(task, Sheet(NAME, "s1", ANSWERS), tmp_path) == first
    assert (tmp_path / PREDICTIONS_NAME).read_bytes() == before
    assert read_predictions(tmp_path / PREDICTIONS_NAME, task.key) == first


def test_other_predictions_are_refused(task: Task, tmp_path: Path) -> None:
    commit(task, Sheet(NAME, "s1", ANSWERS), tmp_path)
    with pytest.raises(AssignmentError, match=r"q3 was committed as 100 ms .* cannot be changed to 90 ms"):
        commit(task, Sheet(NAME, "s1", {**ANSWERS, "q3": "90 ms"}), tmp_path)


@pytest.mark.parametrize(("name", "value"), [("answers", {**ANSWERS, "q3": "90 ms"}), ("committed", "2020-01-01")])
def test_a_changed_file_is_told(task: Task, tmp_path: Path, name: str, value: object) -> None:
    commit(task, Sheet(NAME, "s1", ANSWERS), tmp_path)
    path = tmp_path / PREDICTIONS_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    with pytest.raises(AssignmentError, match="changed after the commitment"):
        read_predictions(path, task.key)


def test_predictions_of_another_student_are_told(task: Task, tmp_path: Path) -> None:
    commit(task, Sheet(NAME, "s1", ANSWERS), tmp_path)
    other = make_task(find_assignment(NAME), "s2", tmp_path / "other")
    with pytest.raises(AssignmentError, match="another student's"):
        read_predictions(tmp_path / PREDICTIONS_NAME, other.key)


def test_a_sheet_of_another_student_and_a_missing_prediction_are_refused(task: Task, tmp_path: Path) -> None:
    with pytest.raises(AssignmentError, match="use the sheet of your hand-out"):
        commit(task, Sheet(NAME, "s2", ANSWERS), tmp_path)
    with pytest.raises(AssignmentError, match="no prediction for q8"):
        commit(task, Sheet(NAME, "s1", {name: text for name, text in ANSWERS.items() if name != "q8"}), tmp_path)
    assert not (tmp_path / PREDICTIONS_NAME).exists()


@pytest.mark.parametrize(
    ("given", "share"),
    [("100 ms", 1), ("0.105 s", 1), ("95", 1), ("94.9", 0.5), ("110 ms", 0.5), ("111 ms", 0), ("1 s", 0)],
)
def test_a_distance_earns_the_share_of_its_band(given: str, share: float) -> None:
    answer = Predicted(Number(0.1, "time", "ms"), ((0.05, 1.0), (0.1, 0.5)))
    assert answer.score(given) == share


def test_an_exact_band_and_a_measured_zero() -> None:
    assert [Predicted(Number(7), ((0.0, 1.0),)).score(text) for text in ("7", "7.001")] == [1, 0]
    assert [Predicted(Number(0), ((0.5, 1.0),)).score(text) for text in ("0", "1")] == [1, 0]
    with pytest.raises(AnswerError):
        Predicted(Number(7), ((0.0, 1.0),)).score("many")


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        ("", "no bands for q1"),
        ("[bands]\nq77 = [[0.1, 1.0]]", "not a question"),
        ("[bands]\ndefault = [[0.1, 2.0]]", "pairs of a distance"),
        ("[bands]\ndefault = [0.1, 1.0]", "pairs of a distance"),
        ("[bands]\ndefault = []", "pairs of a distance"),
    ],
)
def test_wrong_bands_are_one_sentence(tmp_path: Path, bands: str, message: str) -> None:
    right = find_assignment(NAME)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "questions.md.j2").write_text(right.template)
    settings = (right.folder / "assignment.toml").read_text().partition("# Distance")[0]
    (folder / "assignment.toml").write_text(f"{settings}\n{bands}\n")
    assert tomllib.loads((folder / "assignment.toml").read_text())["kind"] == "predict"
    assert right.module is not None
    with pytest.raises(AssignmentError, match=message):
        load_assignment(folder, right.module)


def test_a_network_needs_no_solution_in_its_folder(tmp_path: Path) -> None:
    write_skeleton(tmp_path, "mine", "network")
    path = tmp_path / "mine" / "questions.py"
    before, _, after = path.read_text().partition("def record(lab):")
    path.write_text(before + after[after.index("@question") :])
    assert [one.id for one in find_assignment(str(tmp_path / "mine")).questions] == ["q1"]
    (tmp_path / "mine" / "assignment.toml").write_text(
        (tmp_path / "mine" / "assignment.toml").read_text().replace('kind = "network"', 'kind = "sheet"')
    )
    with pytest.raises(AssignmentError, match="no function record"):
        find_assignment(str(tmp_path / "mine"))


def test_predictions_that_are_not_understood_are_not_committed(task: Task, tmp_path: Path) -> None:
    folder = tmp_path / "handout"
    forms = dict.fromkeys(ANSWERS, "a number in ms")
    blank = blank_sheet(NAME, "s1", forms)

    def predict(answers: dict[str, str]) -> Result:
        text = blank
        for name, answer in answers.items():
            text = text.replace(f"  {name}:\n", f"  {name}: {answer}\n")
        (folder / "answers.yaml").write_text(text)
        return CliRunner().invoke(predict_command, [str(folder), "--commit-only"])

    found = predict({**ANSWERS, "q3": "one second"})
    assert (found.exit_code, "q3: not understood (expected a number in ms" in found.output) == (2, True)
    assert not (folder / "work" / PREDICTIONS_NAME).exists()
    assert predict(ANSWERS).exit_code == 0
    assert read_predictions(folder / "work" / PREDICTIONS_NAME, task.key).sheet.answers["q3"] == "100 ms"
