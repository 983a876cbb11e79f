"""`lab7 matrix http`: every origin that is installed serves every client that is installed."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.harness.implementations.registry import Implementation, of_role
from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.http.matrix import NEEDS, OUR_STRATEGIES
from lab7.topologies.emulation import tools
from tests.emulation.support import lab7, one_sentence

SHOWN, USAGE = 0, 2
SERVERS: list[Implementation | None] = [None, *of_role("origin")]
COLUMNS = [("lab7", strategy) for strategy in OUR_STRATEGIES] + [
    (client.name, protocol) for client in of_role("client") for protocol in client.fetches
]
Cell = dict[str, Any]


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any], Path]:
    """One matrix: the exit code of its command, what that printed, and where it was written."""
    folder = tmp_path_factory.mktemp("matrix")
    done = lab7("matrix", "http", "--json", cwd=folder)
    assert done.stderr == ""
    printed = json.loads(done.stdout)
    return done.returncode, printed, folder / printed["folder"]


@pytest.fixture
def cells(matrix: tuple[int, dict[str, Any], Path]) -> list[Cell]:
    found: list[Cell] = matrix[1]["cells"]
    return found


def called(server: Implementation | None) -> str:
    return server.name if server else "lab7"


def test_every_server_meets_every_client_by_every_protocol_once(cells: list[Cell]) -> None:
    asked = Counter((cell["server"], cell["client"], cell["protocol"]) for cell in cells)
    assert asked == Counter((called(server), *column) for server in SERVERS for column in COLUMNS)


def test_what_is_printed_is_what_is_written(matrix: tuple[int, dict[str, Any], Path]) -> None:
    _, printed, folder = matrix
    assert list(printed) == ["matrix", "folder", "cells"]
    written = json.loads((folder / "matrix.json").read_text(encoding="utf-8"))
    assert (written["matrix"], written["cells"]) == (printed["matrix"], printed["cells"])
    captures = {cell["capture"] for cell in printed["cells"]} - {None}
    assert {path.name for path in folder.iterdir()} == {"matrix.json", "matrix.html"} | captures


def test_a_cell_that_was_judged_cites_packets_of_its_capture(matrix: tuple[int, dict[str, Any], Path]) -> None:
    _, printed, folder = matrix
    counts = {path.name: len(read_capture(path).frames) for path in folder.glob("*.pcapng")}
    judged = [cell for cell in printed["cells"] if cell["verdict"] == "pass"]
    assert judged
    for cell in judged:
        assert cell["frames"]
        assert max(cell["frames"]) <= counts[cell["capture"]]
        assert "objects were transferred completely" in cell["evidence"]


def test_no_cell_fails_for_an_unknown_cause(matrix: tuple[int, dict[str, Any], Path]) -> None:
    code, printed, _ = matrix
    failing = [cell for cell in printed["cells"] if cell["verdict"] == "fail" and not cell["known_cause"]]
    assert failing == []
    assert code == SHOWN


def test_what_is_installed_and_speaks_a_protocol_is_put_to_the_test(cells: list[Cell]) -> None:
    clients = {client.name: client for client in of_role("client")}
    for server in SERVERS:
        for name, what in COLUMNS:
            (cell,) = (
                one for one in cells if (one["server"], one["client"], one["protocol"]) == (called(server), name, what)
            )
            missing = next((one for one in (server, clients.get(name)) if one and not one.installed()), None)
            strategy = what if name == "lab7" else NEEDS[what]
            if missing is not None and cell["verdict"] != "unsupported":
                # Named with how to get it.
                assert (cell["verdict"], cell["evidence"]) == (
                    "not installed",
                    f"`sudo apt-get install {missing.package}`",
                )
            elif missing is None and server is not None and not server.supports(strategy):
                assert (cell["verdict"], cell["evidence"]) == (
                    "unsupported",
                    f"{called(server)} does not support this protocol",
                )
            elif missing is None:
                assert cell["verdict"] in ("pass", "fail")


def test_the_page_shows_every_server_and_client(matrix: tuple[int, dict[str, Any], Path]) -> None:
    page = (matrix[2] / "matrix.html").read_text(encoding="utf-8")
    for server in SERVERS:
        assert f"<th>{called(server)}</th>" in page
    for name, what in COLUMNS:
        assert f"<th>{name} {what}</th>" in page


def all_programs_but(missing: set[str], folder: Path) -> Path:
    """A folder for PATH with every program of this machine except those."""
    folder.mkdir()
    for place in map(Path, os.get_exec_path()):
        for program in place.iterdir() if place.is_dir() else ():
            if program.name not in missing and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return folder


def test_programs_that_are_not_installed_are_named_with_how_to_get_them(tmp_path: Path) -> None:
    missing = {one.program for one in (*of_role("origin"), *of_role("client"))}
    found = all_programs_but(missing, tmp_path / "found")
    # lab7 looks in the system folders as well, whatever PATH says: there these programs cannot be executed.
    places = [Path(folder) / name for folder in tools.SYSTEM_FOLDERS for name in missing]
    hiding = "; ".join(f"mount --bind /dev/null {place}" for place in places if place.is_file())
    entering = ("unshare", "--mount", "sh", "-c", f'{hiding or ":"}; exec "$@"', "sh")
    done = lab7("matrix", "http", cwd=tmp_path, changes={"PATH": str(found), "COLUMNS": "120"}, entering=entering)
    assert (done.returncode, done.stderr) == (SHOWN, "")
    said = done.stdout.splitlines()
    for one in (*of_role("origin"), *of_role("client")):
        assert said.count(f"not installed: {one.how_to_get()}") == 1
    # lab7 is there, and serves itself.
    for strategy in OUR_STRATEGIES:
        (row,) = (line.split() for line in said if line.startswith(f"lab7 {strategy} "))
        assert row[2] == "pass"


def test_an_unknown_matrix_is_one_sentence_that_names_those_there_are(tmp_path: Path) -> None:
    done = lab7("matrix", "htpp", cwd=tmp_path)
    assert done.returncode == USAGE
    sentence = "unknown matrix 'htpp' (did you mean http?): the matrices are cache, dns, ftp, http, mail"
    assert sentence in one_sentence(done)
    assert list(tmp_path.iterdir()) == []
