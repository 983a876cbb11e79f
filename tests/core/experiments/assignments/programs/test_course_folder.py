"""A course's own stages in a folder that is not handed out, and hidden data that come from the secret alone."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab7.experiments.assignments.catalogue.caching_proxy import plan as proxy
from lab7.experiments.assignments.catalogue.dns_server import exercise as dns
from lab7.experiments.assignments.catalogue.http_server import exercise as http
from lab7.experiments.assignments.catalogue.smtp_server import plan as smtp
from lab7.experiments.assignments.definition import AssignmentError
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.programs.definition import ProgramAssignment, find_program_assignment
from lab7.experiments.assignments.programs.stages import Evidence, decide_stages
from tests.core.experiments.assignments.programs.transcript import capture_of
from tests.kernel.assignments.programs.http_bugs import SERVER

REPOSITORY = Path(__file__).resolve().parents[5]
RIGHT = SERVER.read_text()
DOCUMENTED = re.compile(r"```(?P<kind>toml|python)\n(?P<text>.*?)```", re.DOTALL)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """The folder that docs/assignments.md describes."""
    section = (REPOSITORY / "docs" / "assignments.md").read_text().partition("## Hidden stages of your own")[2]
    texts = {one["kind"]: one["text"] for one in DOCUMENTED.finditer(section)}
    folder = tmp_path / "course"
    folder.mkdir()
    (folder / "assignment.toml").write_text(texts["toml"])
    (folder / "hidden.py").write_text(texts["python"])
    return folder


def decided(assignment: ProgramAssignment, program: str, folder: Path, seed: int = 1) -> dict[str, str]:
    """Return the feedback of all stages by the cases of the assignment's own module."""
    module = assignment.module
    assert module is not None
    (folder / "root").mkdir()
    more = module.partial.keywords["more"]
    cases = http.cases_of(http.make_site(folder / "root", seed), "all", more)
    captured = capture_of(program, cases, folder / "root", folder)
    (folder / "again").mkdir()
    verdicts = {one.id: one for one in module.partial(captured, folder / "again", seed, {"exercise": "all"})}
    return {one.question: one.feedback for one in decide_stages(assignment.stages, Evidence(verdicts))}


def test_a_course_adds_its_stages_to_those_of_lab7(course: Path, tmp_path: Path) -> None:
    assignment, base = find_program_assignment(f"{course}/"), find_program_assignment("http-server")
    assert assignment.stages[: len(base.stages)] == base.stages
    (own,) = assignment.stages[len(base.stages) :]
    assert own.hidden
    assert (assignment.command, assignment.role, assignment.late) == (base.command, base.role, base.late)
    assert decided(assignment, RIGHT, tmp_path)[own.id] == "passed"


def test_the_stage_of_a_course_names_its_fault(course: Path, tmp_path: Path) -> None:
    right = 'status = 404\n        content = b"not found\\n"'
    assert right in RIGHT
    program = RIGHT.replace(
        right, 'status = 404\n        content = b"not found\\n" if len(target) < 150 else os.urandom(2)'
    )
    found = decided(find_program_assignment(f"{course}/"), program, tmp_path)
    assert list(found.values())[:-1] == ["passed"] * (len(found) - 1)
    assert "no response to this request" in list(found.values())[-1]


def test_stages_of_lab7_can_be_left_out_and_a_grade_depends_on_both_folders(course: Path) -> None:
    settings = course / "assignment.toml"
    settings.write_text('without = ["robustness"]\n' + settings.read_text())
    assignment = find_program_assignment(f"{course}/")
    assert "robustness" not in [stage.id for stage in assignment.stages]
    names = {path.parent.name + "/" + path.name for path in assignment.sources}
    assert {"course/hidden.py", "course/assignment.toml", "http_server/exercise.py"} <= names


WRONG = {
    'extends = "http-server"': (
        'extends = "http-nothing"',
        "there is no assignment 'http-nothing' (did you mean http-timing?)",
    ),
    "[[stages]]": ('without = ["nothing"]\n[[stages]]', "without must be a list of stages of http-server: get, "),
}


@pytest.mark.parametrize("right", WRONG)
def test_wrong_settings_are_one_sentence(right: str, course: Path) -> None:
    wrong, message = WRONG[right]
    settings = course / "assignment.toml"
    settings.write_text(settings.read_text().replace(right, wrong))
    with pytest.raises(AssignmentError) as error:
        find_program_assignment(f"{course}/")
    assert message in str(error.value)


def hidden_octets(seed: int, folder: Path) -> dict[str, set[bytes]]:
    """Return the octets of the hidden cases of each assignment, by assignment."""
    folder.mkdir()
    site = http.make_site(folder, seed)
    every = {
        "http-server": [(one.claim, b"".join(one.sends)) for one in http.cases_of(site, "all")],
        "dns-server": [(one.claim, b"".join(one.sends)) for one in dns.cases_of(dns.draw_names(seed), "all")],
        "caching-proxy": [(one.claim, each.octets) for one in proxy.plan_of(seed, "all").cases for each in one.asks],
        "smtp-server": [(one.claim, b"".join(one.pieces)) for one in smtp.plan_of(seed, "all").cases],
    }
    hidden = {
        name: {claim for stage in find_program_assignment(name).stages if stage.hidden for claim in stage.claims}
        for name in every
    }
    return {name: {octets for claim, octets in sent if claim in hidden[name]} for name, sent in every.items()}


def test_hidden_data_come_from_the_secret(tmp_path: Path) -> None:
    seeds = [Draw(secret * 32, "http-server", "s1").seed for secret in (b"a", b"b")]
    first, second = (hidden_octets(seed, tmp_path / str(number)) for number, seed in enumerate(seeds))
    # A target outside of the document root, and a request without Host, have nothing to draw.
    common = {name: len(first[name] & second[name]) for name in first}
    assert common == {"http-server": 4, "dns-server": 0, "caching-proxy": 0, "smtp-server": 0}
    assert hidden_octets(seeds[0], tmp_path / "again") == first


@pytest.mark.parametrize("plan_of", [proxy.plan_of, smtp.plan_of])
def test_the_public_cases_are_the_first_of_all(plan_of: object) -> None:
    assert callable(plan_of)
    every, public = plan_of(1, "all").cases, plan_of(1, "public").cases
    asked = [SimpleNamespace(claim=one.claim) for one in public]
    assert [one.claim for one in every[: len(public)]] == [one.claim for one in asked]
    assert len(every) > len(public)
