"""docs/architecture.md: the tables of the files on a path, their descriptions and their number."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# Title of a path -> maximum number of its files. Of a query, the files of the resolver count: the name server's part is
# a second path.
FILES_MAX = {"One DNS query": 16, "One HTTP request": 26, "One message": 34, "One capture": 18}
_SECTION = re.compile(
    r"^## (?P<title>[^\n]*) \((?P<count>\d+) files(?P<more>[^\n]*)\)\n(?P<text>.*?)(?=^## |\Z)",
    re.MULTILINE | re.DOTALL,
)
_ROW = re.compile(r"^\| `(?P<file>[^`]+\.py)` \| (?P<contents>.*) \|$", re.MULTILINE)


def sections() -> dict[str, re.Match[str]]:
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    return {match["title"]: match for match in _SECTION.finditer(text)}


def rows(section: re.Match[str]) -> dict[str, str]:
    """File -> contents."""
    return dict(_ROW.findall(section["text"]))


@pytest.mark.parametrize("title", list(sections()))
def test_the_contents_of_a_file_are_the_first_line_of_its_docstring(title: str) -> None:
    summaries = {}
    for file in rows(sections()[title]):
        docstring = ast.get_docstring(ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))) or ""
        summaries[file] = docstring.partition("\n")[0].removesuffix(".")
    assert rows(sections()[title]) == summaries


@pytest.mark.parametrize("title", list(sections()))
def test_the_heading_has_the_number_of_files(title: str) -> None:
    section = sections()[title]
    more = sum(map(int, re.findall(r"\d+", section["more"])))
    assert len(rows(section)) == int(section["count"]) + more


@pytest.mark.parametrize("title", list(FILES_MAX))
def test_a_path_has_few_files(title: str) -> None:
    """An engineer who follows a path reads these files; a module without a concept of its own makes it longer."""
    counts = [int(section["count"]) for name, section in sections().items() if name.startswith(title)]
    assert counts
    assert counts <= [FILES_MAX[title]]
