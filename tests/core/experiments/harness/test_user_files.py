"""User files: experiments and topologies are loaded, and every error is one sentence."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from lab7.experiments.harness.claims import Claim, load_claims
from lab7.experiments.harness.discovery import UnknownNameError, find_experiments, find_topology
from lab7.experiments.harness.report.page import write_index
from lab7.experiments.harness.results.result import new_folder
from lab7.topologies.emulation.errors import UserFileError
from lab7.topologies.emulation.user_module import explain, load
from tests.core.experiments.harness.samples import sample_result

OWN_EXPERIMENT = """
    from lab7.experiments.harness.claims import Claim
    from lab7.experiments.harness.experiment import Experiment

    EXPERIMENT = Experiment("{name}", "Why?", {claims}, {{}}, run=print, own_claims={own})
"""
X1 = "(Claim('X1', 'Own', 'It is so.', 'A look'),)"
OWN_TOPOLOGY = """
    '''A topology of my own.'''
    from mininet.topo import Topo

    class Own(Topo):
        def build(self):
            self.addHost("anna")

    TRY = ("anna hostname",)
"""


def written(folder: Path, text: str, name: str = "mine.py") -> str:
    path = folder / name
    path.write_text(dedent(text))
    return str(path)


def experiment(folder: Path, name: str = "mine", claims: str = "('X1',)", own: str = X1) -> str:
    return written(folder, OWN_EXPERIMENT.format(name=name, claims=claims, own=own))


def test_an_experiment_is_read_from_a_file_beside_those_of_the_project(tmp_path: Path) -> None:
    first, second = find_experiments((experiment(tmp_path), "http-versions"))
    assert (first.name, first.claims, second.name) == ("mine", ("X1",), "http-versions")
    assert first.own_claims[0].statement == "It is so."


def test_claims_of_the_course_need_no_statement(tmp_path: Path) -> None:
    (found,) = find_experiments((experiment(tmp_path, claims="('H1', 'D2')", own="()"),))
    assert found.claims == ("H1", "D2")


def test_what_lies_beside_a_file_can_be_imported(tmp_path: Path) -> None:
    written(tmp_path, "WORD = 'beside'", "beside_mine.py")
    module = load(written(tmp_path, "from beside_mine import WORD"), "says a word")
    assert module.WORD == "beside"


def test_dataclasses_with_later_annotations_work_in_a_file(tmp_path: Path) -> None:
    text = """
        from __future__ import annotations
        from dataclasses import KW_ONLY, dataclass

        @dataclass
        class Mine:
            _: KW_ONLY
            word: str = "mine"
    """
    assert load(written(tmp_path, text), "has a class").Mine().word == "mine"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1", "defines no EXPERIMENT: add  EXPERIMENT = Experiment(name=...)"),
        ("topos = {'a': 1}", "defines no EXPERIMENT: start its topology by `lab7 up "),
        ("EXPERIMENT = {}", "EXPERIMENT is of type dict; it must be an Experiment"),
        ("class (", "cannot be read as Python: SyntaxError: "),
        ("\n\nnothing", "mine.py, line 3, fails: NameError: name 'nothing' is not defined"),
        ("import nobody_s_module", "fails: ModuleNotFoundError: No module named 'nobody_s_module'"),
        ("raise SystemExit(1)", "mine.py, line 1, fails: SystemExit: 1"),
        (
            "from lab7.experiments.harness.experiment import Experiment\nEXPERIMENT = Experiment('x')",
            "line 2, fails: TypeError",
        ),
        (OWN_EXPERIMENT.format(name="http-versions", claims="()", own="()"), "an experiment of lab7 has the name"),
        (
            OWN_EXPERIMENT.format(name="../x", claims="()", own="()"),
            "'../x' must consist of lower-case letters, digits",
        ),
        (
            OWN_EXPERIMENT.format(name="x", claims="('X1',)", own="()"),
            "unknown claim X1 (see `lab7 claims`)",
        ),
        (
            OWN_EXPERIMENT.format(name="x", claims="()", own=X1.replace("X1", "H1")),
            "H1 is the id of a claim of the course",
        ),
    ],
)
def test_a_mistake_in_an_experiment_is_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserFileError) as caught:
        find_experiments((written(tmp_path, text),))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere.py", "./nowhere.py", ".py"])
def test_a_file_that_is_not_there_is_said_so(name: str) -> None:
    with pytest.raises(UserFileError, match="there is no file"):
        find_experiments((name,))
    with pytest.raises(UserFileError, match="there is no file"):
        find_topology(name)


def test_a_folder_and_octets_that_are_no_text_are_no_files_to_run(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(UserFileError, match="there is no file"):
        find_experiments((str(tmp_path / "folder.py"),))
    (tmp_path / "mine.py").write_bytes(b"\xff\xfe\x00x = 1")
    with pytest.raises(UserFileError, match="cannot be read as Python"):
        find_experiments((str(tmp_path / "mine.py"),))


def test_a_wrong_name_says_that_a_file_ends_in_py() -> None:
    for find in (lambda: find_experiments(("my_lab",)), lambda: find_topology("my_lab")):
        with pytest.raises(UnknownNameError, match=r"file (must end in |is \*)\.py"):
            find()


def test_a_topology_says_what_it_is_and_what_to_try(tmp_path: Path) -> None:
    file = written(tmp_path, OWN_TOPOLOGY + "\n    topos = {'own': Own}")
    topology = find_topology(file)
    assert (topology.name, topology.called, topology.tries) == ("own", file, ("anna hostname",))
    assert topology.text == "A topology of my own."
    assert topology.make().hosts() == ["anna"]


def test_tests_for_mn_are_listed_with_the_topology(tmp_path: Path) -> None:
    exports = "\n    topos = {'own': Own}\n    tests = {'mytest': lambda net: None}"
    assert find_topology(written(tmp_path, OWN_TOPOLOGY + exports)).tests == ("mytest",)
    assert find_topology(written(tmp_path, OWN_TOPOLOGY)).tests == ()


def test_one_of_several_topologies_is_chosen_by_its_name(tmp_path: Path) -> None:
    file = written(tmp_path, OWN_TOPOLOGY + "\n    topos = {'one': Own, 'two': lambda: Own()}")
    assert [find_topology(f"{file}:{name}").name for name in ("one", "two")] == ["one", "two"]
    with pytest.raises(
        UserFileError, match=r"exports several topologies: choose one, .*mine\.py:one or .*mine\.py:two"
    ):
        find_topology(file)
    with pytest.raises(UserFileError, match="exports no topology 'three': it exports one, two"):
        find_topology(f"{file}:three")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("    HOSTS = 3", "exports no topology: add  topos = {'name': TheTopoClass}"),
        ("    EXPERIMENT = 1", "exports no topology: run its experiment by `lab7 run "),
        (f"{OWN_TOPOLOGY}\n    topos = [Own]", "exports no topology"),
        (f"{OWN_TOPOLOGY}\n    topos = {{'own': Own()}}", "topos['own'] is of type Own; name the class itself"),
    ],
)
def test_a_mistake_in_a_topology_is_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserFileError) as caught:
        find_topology(written(tmp_path, text))
    assert sentence in str(caught.value)


def test_only_what_fails_in_a_person_s_file_is_theirs(tmp_path: Path) -> None:
    module = load(written(tmp_path, "def divide(x):\n    return 1 / x"), "divides")
    with pytest.raises(ZeroDivisionError) as theirs:
        module.divide(0)
    assert explain(theirs.value) == "mine.py, line 2, fails: ZeroDivisionError: division by zero"
    with pytest.raises(KeyError) as ours:
        find_experiments(("http-versions",))[0].parameters["nothing"]
    assert explain(ours.value) is None


def test_the_index_counts_and_lists_the_claims_of_an_experiment(tmp_path: Path) -> None:
    result = sample_result()
    own = sample_result(experiment="mine", claims=(type(result.claims[0])("X1", "shown", "It was seen.", (3,)),))
    for each in (result, own):
        each.save(new_folder(tmp_path, each.experiment))
    claims = {"H9": find_claim("H9")}
    page = write_index(tmp_path, claims).read_text(encoding="utf-8")
    assert "2 of 2 claims have been judged; 1 of them is declared by an experiment" in page
    assert "Claims of single experiments" in page
    assert "It was seen." in page


def find_claim(name: str) -> Claim:
    return load_claims()[name]
