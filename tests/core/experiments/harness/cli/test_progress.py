"""Progress of long commands: bars on a terminal, lines in a file, nothing for a single run."""

from __future__ import annotations

import pytest

from lab7.experiments.harness.cli import common


def test_what_begins_is_a_line_where_standard_error_is_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with common.Bars(announced=True) as bars, bars.bar("http-versions") as step, bars.bar("web-cache"):
        step("sample 2 of 5", 0.4)
    with common.progress("cdn", announced=True):
        pass
    found = capsys.readouterr()
    assert (found.out, found.err) == ("", "http-versions starts\nweb-cache starts\ncdn starts\n")


def test_a_single_run_prints_no_progress_into_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with common.progress("cdn") as step:
        step("sample 2 of 5", 0.4)
    assert capsys.readouterr().err == ""
