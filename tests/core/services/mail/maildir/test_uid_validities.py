"""UIDVALIDITY values that names had before (RFC 9051 section 2.3.1.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.services.mail.maildir.uid_index import UidValidities


def test_the_greatest_value_of_a_name_is_kept(tmp_path: Path) -> None:
    values = UidValidities(str(tmp_path))
    assert values.former("a b") == 0
    for value in (5, 7, 6, 0):
        values.retire("a b", value)
    assert (values.former("a b"), values.former("other")) == (7, 0)


def test_the_values_of_many_names_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab7.services.mail.maildir.uid_index.FORMER_NAMES_MAX", 3)
    values = UidValidities(str(tmp_path))
    for number in range(1, 7):
        values.retire(f"n{number}", number)
    assert [values.former(f"n{number}") for number in range(1, 7)] == [4, 4, 4, 4, 5, 6]
    assert values.former("new") == 4


def test_every_new_value_is_larger(tmp_path: Path) -> None:
    first, second = UidValidities(str(tmp_path)).new(), UidValidities(str(tmp_path)).new()
    assert first < second
