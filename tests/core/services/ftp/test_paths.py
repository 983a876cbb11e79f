"""Path resolution below a home, patterns as of a shell in bounded time, and the encoding of TYPE A."""

from __future__ import annotations

import fnmatch
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.errors import ServiceError
from lab7.services.ftp.files.jailed_tree import FileError, JailedTree
from lab7.services.ftp.files.paths import PathError, matches, normalise, strip_flags
from lab7.services.ftp.server_dtp.ascii_mode import AsciiDecoder, encode_ascii
from lab7.services.ftp.server_pi.failures import Cause

names = st.sampled_from(["..", ".", "", "a", "b", "up", "root", "loop", "abs", "deep"])


@given(st.lists(names, max_size=8), st.lists(names, max_size=4).map("/".join), st.booleans())
def test_a_normalised_path_has_plain_names_only(path: list[str], directory: str, absolute: bool) -> None:
    here = normalise((), directory)
    found = normalise(here, ("/" if absolute else "") + "/".join(path))
    assert not {"", ".", ".."}.intersection(found)


@given(st.text(max_size=40))
def test_any_text_is_a_path_below_the_root_or_none(text: str) -> None:
    try:
        found = normalise(("a",), text)
    except PathError:
        return
    assert all(name not in ("", ".", "..") and not set(name) & set("/\0\r\n") for name in found)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> JailedTree:
    parent = tmp_path_factory.mktemp("tree")
    root = parent / "root"
    (root / "a" / "b").mkdir(parents=True)
    (parent / "outside").mkdir()
    (root / "a" / "up").symlink_to("../../outside")
    (root / "a" / "root").symlink_to("..")
    (root / "loop").symlink_to("loop")
    (root / "abs").symlink_to(parent / "outside")
    (root / "a" / "deep").symlink_to("b/../b")
    return JailedTree(root)


@given(st.lists(names.filter(lambda name: name not in ("", ".", "..")), max_size=6))
def test_whatever_is_found_lies_below_the_root(tree: JailedTree, path: list[str]) -> None:
    try:
        with tree.directory(tuple(path)) as descriptor:
            place = os.readlink(f"/proc/self/fd/{descriptor}")
    except FileError:
        return
    root = os.readlink(f"/proc/self/fd/{tree._root}")
    assert place == root or place.startswith(root + "/")


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        (("a", "up"), Cause.DENIED),
        (("abs",), Cause.DENIED),
        (("loop",), Cause.DENIED),
        (("nowhere",), Cause.NOT_FOUND),
    ],
)
def test_links_that_lead_out_or_nowhere(tree: JailedTree, path: tuple[str, ...], cause: Cause) -> None:
    with pytest.raises(FileError) as raised:
        tree.status(path)
    assert raised.value.cause is cause


def test_links_that_stay_inside_are_followed(tree: JailedTree) -> None:
    assert tree.status(("a", "root", "a", "deep")) == tree.status(("a", "b"))


def test_no_descriptor_is_left_open(tree: JailedTree) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for path in (("a", "b"), ("a", "up"), ("nowhere", "x"), ("a", "root", "a", "deep")):
        try:
            tree.status(path)
        except FileError:
            continue
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_root_that_is_no_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="name an existing directory"):
        JailedTree(tmp_path / "nowhere")


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_patterns_match_as_in_a_shell(pattern: str, name: str) -> None:
    assert matches(pattern, name) == fnmatch.fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("[a-c]x", "bx", True),
        ("[!a-c]x", "bx", False),
        ("[]x", "[]x", True),
        ("[", "[", True),
        ("*", ".hidden", False),
        (".*", ".hidden", True),
        ("*[ab]", "xxb", True),
        ("[a-]", "-", True),
    ],
)
def test_sets_and_hidden_names(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits


def test_many_stars_cost_no_more_than_pattern_times_name() -> None:
    class Counted(str):
        looks = 0

        def __getitem__(self, key):  # type: ignore[no-untyped-def]
            Counted.looks += 1
            return super().__getitem__(key)

    name = Counted("a" * 250)
    assert not matches("*a" * 1000 + "b", name)
    assert Counted.looks <= 2 * 2001 * 250


@given(st.binary(max_size=200), st.integers(1, 7))
def test_type_a_brings_any_file_back(octets: bytes, cut: int) -> None:
    sent = encode_ascii(octets)
    conversion = AsciiDecoder()
    pieces = [conversion.decode(sent[i : i + cut]) for i in range(0, len(sent), cut)]
    assert b"".join(pieces) + conversion.finish() == octets


@pytest.mark.parametrize(
    ("argument", "rest"),
    [("-la", ""), ("-l a", "a"), ("-a -l x y", "x y"), ("a -l", "a -l"), ("-", ""), ("", ""), ("-x.y", "-x.y")],
)
def test_flags_of_ls_are_left_out(argument: str, rest: str) -> None:
    assert strip_flags(argument) == rest


def test_a_session_is_not_slowed_by_a_pattern() -> None:
    # A backtracking matcher would not end.
    begun = time.monotonic()
    matches("*a" * 2000 + "b", "a" * 255)
    assert time.monotonic() - begun < 60
