"""Answer sheets: blank ones, filled ones, and files that are no sheet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lab7.experiments.assignments.cli import assignment_command
from lab7.experiments.assignments.sheet import (
    SHEET_BYTES_MAX,
    SheetError,
    blank_sheet,
    parse_sheet,
    read_forms,
    read_sheet,
)

HEAD = "assignment: http-basics\nstudent: s1\nanswers:\n"


def test_a_blank_sheet_has_no_answer() -> None:
    sheet = parse_sheet(blank_sheet("http-basics", "o'neil: #1", {"q1": "a number in ms", "q2": "text"}))
    assert (sheet.assignment, sheet.student, dict(sheet.answers)) == ("http-basics", "o'neil: #1", {})


def test_every_scalar_is_the_text_that_was_typed() -> None:
    said = "  q1: yes\n  q2: 1:30\n  q3: 010\n  q4: 1e3\n  q5: [4, 7-9]\n  q6: 2026-01-02\n  q7: ~\n  q8:\n"
    assert dict(parse_sheet(HEAD + said).answers) == {
        "q1": "yes", "q2": "1:30", "q3": "010", "q4": "1e3", "q5": ["4", "7-9"], "q6": "2026-01-02", "q7": "~",
    }  # fmt: skip


BROKEN = {
    "an alias": HEAD + "  q1: &a [x]\n  q2: *a\n",
    "a tag": HEAD + "  q1: !!python/object/apply:os.system [ls]\n",
    "a key twice": HEAD + "  q1: 1\n  q1: 2\n",
    "an open bracket": HEAD + "  q1: [1, 2\n",
    "no mapping": "- 1\n- 2\n",
    "empty": "",
    "another key": HEAD + "points: 100\n",
    "no student": "assignment: x\nanswers: {}\n",
    "a mapping as answer": HEAD + "  q1: {a: 1}\n",
    "deep nesting": HEAD + "  q1: " + "[" * 50 + "]" * 50 + "\n",
    "many values": HEAD + "  q1: [" + "1," * 6000 + "]\n",
    "a control character": HEAD + "  q1: \x07\n",
    "two documents": HEAD + "---\n" + HEAD,
    "a list as key": HEAD + "  ? [1]\n  : 2\n",
}


def is_one_sentence(error: ValueError) -> None:
    assert "\n" not in str(error)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_sheet_is_one_sentence_with_its_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text(BROKEN[name])
    with pytest.raises(SheetError, match=r"answers\.yaml, line \d+: ") as found:
        read_sheet(path)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("octets", [b"\x89PNG\r\n\x1a\n\xff\xff", b"\xff" * 100, b"a" * (SHEET_BYTES_MAX + 1)])
def test_a_file_that_is_no_sheet_is_one_sentence(octets: bytes, tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    path.write_bytes(octets)
    with pytest.raises(SheetError) as found:
        read_sheet(path)
    assert "\n" not in str(found.value)


CAPTURES = {
    "pcapng": b"\x0a\x0d\x0d\x0a" + bytes(SHEET_BYTES_MAX),
    "pcap": b"\xd4\xc3\xb2\xa1" + bytes(20),
    "pcap with ns": b"\xa1\xb2\x3c\x4d" + bytes(20),
}


@pytest.mark.parametrize("name", CAPTURES)
def test_a_capture_is_no_sheet(name: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.pcapng"
    path.write_bytes(CAPTURES[name])
    with pytest.raises(SheetError, match=r"trace\.pcapng is a capture, not an answer sheet: give answers\.yaml\Z"):
        read_sheet(path)


def test_a_missing_sheet_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match="cannot be read"):
        read_sheet(tmp_path / "answers.yaml")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    for whole in (text, HEAD + text):
        try:
            parse_sheet(whole)
        except SheetError as error:
            is_one_sentence(error)


SPELLED = f"{HEAD}  # a time in µs\n  q1: 4\n  q2: Zoë\n"
ENCODED = {
    "a byte order mark": SPELLED.encode("utf-8-sig"),
    "UTF-16": SPELLED.encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + SPELLED.encode("utf-16-be"),
    "Windows-1252": SPELLED.encode("cp1252"),
    "CRLF": SPELLED.replace("\n", "\r\n").encode(),
    "CR": SPELLED.replace("\n", "\r").encode(),
    "tabs": SPELLED.replace("  q", "\tq").replace(": 4", ":\t4\t").encode(),
    "spaces at the end": SPELLED.replace("\n", "  \n").encode(),
}


@pytest.mark.parametrize("name", ENCODED)
def test_sheets_of_any_editor(name: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    path.write_bytes(ENCODED[name])
    assert dict(read_sheet(path).answers) == {"q1": "4", "q2": "Zoë"}
    assert read_forms(path) == {"q1": "a time in µs"}


def test_a_document_of_an_office_program_is_told(tmp_path: Path) -> None:
    (tmp_path / "answers.yaml").write_bytes(b"PK\x03\x04" + bytes(SHEET_BYTES_MAX))
    with pytest.raises(SheetError, match=r"is a zip file or a document of an office program, not text"):
        read_sheet(tmp_path / "answers.yaml")


QUOTES = {
    "q4: 404: Not Found": "(mapping values are not allowed here): put the text in quotes, q4: '404: Not Found'",
    "q5: X-Course: o'x": "put the text in quotes, q5: 'X-Course: o''x'",
    "q6: %5": "put the text in quotes, q6: '%5'",
    "q6: `x`": "put the text in quotes, q6: '`x`'",
    "q7: *": "put the text in quotes, q7: '*'",
    "q7: *a": "or put it in quotes",
    "q8: !x": "put the answer in quotes",
}


@pytest.mark.parametrize("line", QUOTES)
def test_text_that_needs_quotes_is_told(line: str) -> None:
    with pytest.raises(SheetError, match=r"line 4: ") as found:
        parse_sheet(f"{HEAD}  {line}\n")
    assert str(found.value).endswith(QUOTES[line])
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("lines", [" q2: 4\n   q3: 5\n", "  q2: [4, 5\n", "  q2: 'x\n"])
def test_other_errors_do_not_ask_for_quotes(lines: str) -> None:
    with pytest.raises(SheetError) as found:
        parse_sheet(HEAD + lines)
    assert "quotes" not in str(found.value)


def test_check_of_a_broken_sheet_is_one_sentence_without_usage(tmp_path: Path) -> None:
    (tmp_path / "answers.yaml").write_text(f"{HEAD}  q4: 404: Not Found\n")
    done = CliRunner().invoke(assignment_command, ["check", str(tmp_path / "answers.yaml")])
    assert done.exit_code == 2
    assert done.output.startswith("lab7: answers.yaml, line 4: not YAML")
    assert len(done.output.splitlines()) == 1


def test_the_list_has_the_kinds() -> None:
    done = CliRunner().invoke(assignment_command, ["list", "--json"])
    kinds = {one["name"]: one["kind"] for one in json.loads(done.output)}
    assert set(kinds.values()) == {"sheet", "predict", "network", "program"}
    assert (kinds["http-basics"], kinds["smtp-server"]) == ("sheet", "program")
    lines = CliRunner().invoke(assignment_command, ["list"]).output.splitlines()
    assert [line.split()[:2] for line in lines] == [list(one) for one in kinds.items()]
