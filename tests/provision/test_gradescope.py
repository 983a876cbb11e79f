"""The autograder for programs in a clean Debian root, with the folders of Gradescope's documentation and only setup.sh.

Gradescope, "Autograder Specifications": setup.sh runs once as root when the image is made, /autograder/source has the
zip file's content; run_autograder runs for each submission and writes /autograder/results/results.json. The container
has the default capabilities and system call filter of podman, and while it grades no network.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.assignments.gradescope.bundle import write_program_bundle
from lab7.experiments.assignments.programs.definition import find_program_assignment
from lab7.topologies.emulation.virtual import kernel
from tests.kernel.assignments.programs.attacks import ALL, ATTACKS, Attack
from tests.kernel.assignments.programs.http_bugs import BUGS, SERVER
from tests.provision.container import Container
from tests.provision.root import make_base

NAME, STUDENT = "http-server", "s1"
SECRET = bytes(range(32))
SETUP_TIMEOUT_S, GRADE_TIMEOUT_S = 900.0, 600.0
# Keys of a test in results.json (Gradescope, "Autograder Specifications: Output Format").
KEYS = {"name", "score", "max_score", "output", "output_format", "visibility", "tags"}


class Autograder:
    """The container of one assignment, as Gradescope makes it."""

    def __init__(self, base: Path) -> None:
        self.folder = base / "autograder"
        self.container = Container(base)

    def set_up(self, bundle: Path) -> None:
        """Unpack the zip file, and run its setup.sh."""
        for name in ("source", "submission", "results"):
            (self.folder / name).mkdir(parents=True)
        with zipfile.ZipFile(bundle) as archive:
            for entry in archive.infolist():
                Path(archive.extract(entry, self.folder / "source")).chmod(entry.external_attr >> 16 & 0o777)
        shutil.copy2(self.folder / "source" / "run_autograder", self.folder / "run_autograder")
        users = [{"email": f"{STUDENT}@example.edu", "name": "A", "sid": ""}]
        (self.folder / "submission_metadata.json").write_text(json.dumps({"users": users}))
        done = self.container.run("/autograder/source/setup.sh", timeout_s=SETUP_TIMEOUT_S, network=True)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]

    def grade(self, program: str) -> dict[str, Any]:
        """Grade a program; return results.json."""
        (self.folder / "submission" / "server.py").write_text(program)
        results = self.folder / "results" / "results.json"
        results.unlink(missing_ok=True)
        done = self.container.run("/autograder/run_autograder", timeout_s=GRADE_TIMEOUT_S)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
        found: dict[str, Any] = json.loads(results.read_text())
        assert all(set(test) >= KEYS for test in found["tests"])
        return found


@pytest.fixture(scope="module")
def autograder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Autograder]:
    folder = tmp_path_factory.mktemp("gradescope")
    try:
        made = Autograder(make_base(folder, project=False))
        bundle = folder / "autograder.zip"
        write_program_bundle(find_program_assignment(NAME), SECRET, [STUDENT, "s2"], kernel.require(), bundle)
        made.set_up(bundle)
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_the_right_server_has_full_points(autograder: Autograder) -> None:
    found = autograder.grade(SERVER.read_text())
    assert (found["score"], found["max_score"], found["output"]) == (ALL, ALL, "")
    assert {test["visibility"] for test in found["tests"]} == {"visible", "after_published"}


def test_a_bug_is_named(autograder: Autograder) -> None:
    bug = BUGS[0]
    (failed,) = [
        test
        for test in autograder.grade(bug.program(SERVER.read_text()))["tests"]
        # The output begins with the title of the stage.
        if test["status"] == "failed" and not test["output"].rpartition("\n\n")[2].startswith("not opened")
    ]
    assert failed["name"] == bug.stage
    assert [part for part in bug.message if part not in failed["output"]] == []


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_changes_nothing(attack: Attack, autograder: Autograder) -> None:
    source = autograder.folder / "source"
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    found = autograder.grade(attack.program(SERVER.read_text()))
    assert found["score"] == attack.earned
    assert attack.message in " ".join([found["output"], *(test["output"] for test in found["tests"])])
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before


def test_an_account_that_is_not_on_the_roster_has_no_score(autograder: Autograder) -> None:
    metadata = autograder.folder / "submission_metadata.json"
    kept = metadata.read_text()
    metadata.write_text(kept.replace(STUDENT, "mallory"))
    try:
        assert "score" not in autograder.grade("")
    finally:
        metadata.write_text(kept)
