"""A matrix is written as data and as a page, which escapes hostile text."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.harness.matrix import FORMAT, Cell, CellWord, Matrix, MatrixRun, axes, level_counts, run_matrix
from tests.core.experiments.ladder.wire import Path2, page_load

HOSTILE = "<script>alert('x')</script>&\"]]>"
CELLS = (
    Cell("nginx", "curl", "1.1", "pass", "3 objects whole.", (4, 5), "nginx.pcapng"),
    Cell("nginx", "curl", "2", "fail", "The request in frame 9 gets no whole response.", (9,), "nginx.pcapng", "a bug"),
    Cell("apache", "curl", "1.1", "unsupported", "apache does not speak it"),
    Cell("apache", "curl", "2", "not installed", "sudo apt-get install apache2"),
)

RESULTS: tuple[tuple[str, str, str, CellWord], ...] = (
    ("squid", "age", "required", "pass"),
    ("squid", "vary", "required", "fail"),
    ("squid", "head", "allowed", "unused"),
    ("nginx", "age", "required", "unused"),
    ("nginx", "vary", "required", "pass"),
    ("nginx", "head", "allowed", "pass"),
    ("varnish", "age", "required", "not installed"),
    ("varnish", "vary", "required", "not installed"),
    ("varnish", "head", "allowed", "not installed"),
)
CHECKED = tuple(
    Cell(server, check, "9111 4", word, "Seen.", (1,), "a.pcapng", None, level, f"What {check} is.")
    for server, check, level, word in RESULTS
)


def made(folder: Path, cells: Sequence[Cell] = CELLS, name: str = "sample", question: str = "Why?") -> Path:
    """Return the folder in which a matrix of these cells was written."""

    def fill(run: MatrixRun) -> list[Cell]:
        run.step("half of it", 0.5)
        assert run.folder.is_dir()
        return list(cells)

    steps: list[tuple[str, float]] = []
    found, returned = run_matrix(Matrix(name, question, fill), folder, "wire", True, lambda *step: steps.append(step))
    assert returned == list(cells)
    assert steps == [("half of it", 0.5)]
    return found


def data(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "matrix.json").read_text(encoding="utf-8"))
    return read


def page(folder: Path) -> str:
    return (folder / "matrix.html").read_text(encoding="utf-8")


def test_the_data_have_every_cell_with_every_field(tmp_path: Path) -> None:
    found = data(made(tmp_path))
    assert list(found) == ["format", "matrix", "question", "started", "clock", "cells"]
    assert (found["format"], found["matrix"], found["question"]) == (FORMAT, "sample", "Why?")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found["started"])
    assert [list(cell) for cell in found["cells"]] == [
        ["server", "client", "protocol", "verdict", "evidence", "frames", "capture", "known_cause", "level", "says"]
    ] * len(CELLS)
    assert [Cell(**{**cell, "frames": tuple(cell["frames"])}) for cell in found["cells"]] == list(CELLS)


def test_it_lies_in_a_folder_of_its_own(tmp_path: Path) -> None:
    first, second = made(tmp_path), made(tmp_path)
    assert first.parent == second.parent == tmp_path / "matrix-sample"
    assert first != second
    assert {path.name for path in first.iterdir()} == {"matrix.json", "matrix.html"}


def test_the_page_has_a_column_a_server_and_a_row_a_client(tmp_path: Path) -> None:
    text = page(made(tmp_path))
    heads = re.findall(r"<th>([^<]*)</th>", text)
    assert heads == ["Client", "nginx", "apache", "curl 1.1", "curl 2"]
    assert axes(CELLS) == (["nginx", "apache"], ["curl 1.1", "curl 2"])
    words = re.findall(
        r'<td><a class="cell" href="#cell-\d+"><span class="badge \w+" title="[^"]*">([^<]*)</span></a></td>', text
    )
    assert words == ["pass", "unsupported", "fail", "not installed"]


def test_every_cell_opens_its_evidence(tmp_path: Path) -> None:
    (folder := made(tmp_path)).joinpath("nginx.pcapng").touch()
    text = page(folder)
    links = re.findall(r'<td><a class="cell" href="#([^"]+)"', text)
    assert len(links) == len(set(links)) == len(CELLS)
    entries = dict(re.findall(r'<li id="([^"]+)">(.*?)</li>', text, re.DOTALL))
    assert sorted(entries) == sorted(links)
    by_evidence = {cell.evidence: cell for cell in CELLS}
    for entry in entries.values():
        (cell,) = [cell for evidence, cell in by_evidence.items() if evidence in entry]
        assert (f"{cell.client} {cell.protocol}" in entry, f">{cell.verdict}</span>" in entry) == (True, True)
        assert ("frame.number in {" in entry) == bool(cell.frames)
        targets = re.findall(r'href="([^"#]+)"', entry)
        assert targets == ([cell.capture] if cell.capture else [])
        assert all((folder / target).exists() for target in targets)
    assert "frame.number in {4, 5}" in text


def test_a_failing_cell_is_listed_with_its_evidence_its_frames_and_its_cause(tmp_path: Path) -> None:
    text = page(made(tmp_path))
    assert "nginx, asked by curl 2" in text
    assert "gets no whole response. [nginx.pcapng, frame 9]" in text
    assert re.search(r"Known cause: a bug", text)
    assert "None." not in text


@pytest.mark.parametrize(("capture", "where"), [(None, ""), ("a.pcapng", " [a.pcapng]")])
def test_a_failing_cell_without_frames_or_capture_does_not_pretend_to_have_them(
    capture: str | None, where: str, tmp_path: Path
) -> None:
    cell = Cell("own", "curl", "1.1", "fail", "It ended.", (), capture)
    text = page(made(tmp_path, [cell]))
    assert f"It ended.{where}\n" in text
    assert "frames " not in text.partition("</style>")[2]
    assert "[None" not in text


def test_a_matrix_without_a_failing_cell_says_so(tmp_path: Path) -> None:
    assert '<p class="soft">None.</p>' in page(made(tmp_path, CELLS[:1]))


def test_a_matrix_without_cells_is_written_all_the_same(tmp_path: Path) -> None:
    folder = made(tmp_path, [])
    assert data(folder)["cells"] == []
    assert "None." in page(folder)


def test_checks_are_counted_by_level_and_only_where_they_were_made() -> None:
    assert level_counts(CHECKED) == {
        "required": {"squid": "1/2", "nginx": "1/2", "varnish": ""},
        "allowed": {"squid": "0/1", "nginx": "1/1", "varnish": ""},
    }
    assert level_counts(CELLS) == {}


def test_the_page_of_checks_says_what_each_of_them_is(tmp_path: Path) -> None:
    folder, _ = run_matrix(
        Matrix("c", "Why?", lambda _: list(CHECKED), "check"), tmp_path, "wire", True, lambda *_: None
    )
    text = page(folder)
    assert "<th>Check</th>" in text
    assert "Every server against every check" in text
    assert '<th title="What age is.">age 9111 4 <span class="soft small">required</span></th>' in text
    assert "<tr><th>required: passed</th><td>1/2</td><td>1/2</td><td></td></tr>" in text


def test_a_cell_shows_its_messages_and_decoded_frames(tmp_path: Path) -> None:
    path = Path2()
    page_load(path, ("/", "/picture.png"))
    number = 6

    def fill(run: MatrixRun) -> list[Cell]:
        path.write(run.folder / "nginx.pcapng")
        return [dataclasses.replace(CELLS[0], frames=(number, 999)), *CELLS[2:]]

    folder, _ = run_matrix(Matrix("sample", "Why?", fill), tmp_path, "wire", True, lambda *_: None)
    text = page(folder)
    assert f'id="cell-1-frame-{number}"' in text
    assert f"frame.number == {number}" in text
    assert 'class="ladder on-page"' in text
    links = set(re.findall(r'href="#([^"]+)"', text))
    assert f"cell-1-frame-{number}" in links
    assert links <= set(re.findall(r'id="([^"]+)"', text))


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    cell = dataclasses.replace(
        CELLS[1], server=HOSTILE, client=HOSTILE, protocol=HOSTILE, evidence=HOSTILE, capture=HOSTILE,
        known_cause=HOSTILE, level=HOSTILE, says=HOSTILE,
    )  # fmt: skip
    folder = made(tmp_path, [cell], question=HOSTILE)
    text = page(folder)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "]]>" not in text
    # Nothing leaves the attribute that it stands in.
    titles = re.findall(r'title="([^"]*)"', text)
    assert len(titles) == 2
    assert all("&#34;" in title for title in titles)
    assert data(folder)["cells"][0]["evidence"] == HOSTILE


def test_the_page_makes_no_request(tmp_path: Path) -> None:
    assert not re.search(r"(src|href)=\"(https?:)?//|url\(\s*['\"]?http|@import|<script|<link", page(made(tmp_path)))
