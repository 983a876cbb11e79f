"""Folder names and file names of a Maildir."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.maildir.delivery import sort_key, split_name, stored_size, wire_size, with_flag_letters
from lab7.services.mail.maildir.errors import FolderNameError
from lab7.services.mail.maildir.folder_names import checked, decode, directory_of, encode, name_of, parents

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT)
def test_modified_utf7_reads_as_it_was_written(text: str) -> None:
    assert decode(encode(text)) == text
    assert encode(text).isascii()


@given(st.text("&-,ABCab/ \u00fc", max_size=12))
def test_a_text_is_written_in_one_way_only(name: str) -> None:
    try:
        text = decode(name)
    except ValueError:
        return
    assert encode(text) == name


@pytest.mark.parametrize(
    ("text", "name"), [("Entwürfe", "Entw&APw-rfe"), ("台北", "&U,BTFw-"), ("R&D", "R&-D"), ("~/ü/台", "~/&APw-/&U,A-")]
)
def test_examples(text: str, name: str) -> None:
    assert (encode(text), decode(name)) == (name, text)


@given(st.one_of(TEXT, TEXT.map(encode), st.text("./&-AC4 ~", max_size=20)))
def test_a_name_is_refused_or_is_one_directory_of_its_own(name: str) -> None:
    try:
        found = checked(name)
    except FolderNameError:
        return
    directory = directory_of(found)
    assert not set(directory) & {"/", "\0"}
    assert directory not in (".", "..")
    assert directory == "" or (directory.startswith(".") and name_of(directory) == found)


@pytest.mark.parametrize(
    "name", ["", "/", "a/", "/a", "a//b", "&", "&Jjo", "ü", "a\0b", "a\nb", "x" * 300, "a/" * 40 + "a"]
)
def test_names_that_no_folder_can_have(name: str) -> None:
    with pytest.raises(FolderNameError):
        checked(name)


def test_dots_are_no_separators() -> None:
    assert directory_of("a.b") != directory_of("a/b")
    assert directory_of("..") == ".&AC4-&AC4-"


def test_inbox_in_any_case() -> None:
    assert checked("inbox") == "INBOX"
    assert checked("Inbox/x") == "INBOX/x"
    assert directory_of("INBOX") == ""
    assert parents("a/b/c") == ["a", "a/b"]


def test_what_a_files_name_tells() -> None:
    base = "1700000000.M20046P77Q3R9c.host,S=1040,W=1064"
    assert split_name(base + ":2,FS") == (base, "FS")
    assert split_name(base) == (base, "")
    assert (wire_size(base), stored_size(base)) == (1064, 1040)
    assert (wire_size("1.2.host"), stored_size("1.2.host,W=3")) == (None, None)
    assert with_flag_letters(base, "SFS") == base + ":2,FS"


def test_messages_are_in_the_order_of_their_delivery() -> None:
    names = ["9.x.h", "10.M5P1Q9.h", "10.M5P1Q10.h", "10.M000006P1Q1.h", "x"]
    shuffled = names[::-1]
    shuffled.sort(key=sort_key)
    assert shuffled == names
