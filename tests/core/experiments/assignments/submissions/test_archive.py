"""Zip files of students: limits, names that lead out of the folder, links, and files that are no zip file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from lab7.experiments.assignments.submissions.archive import BYTES_MAX, FILES_MAX, ArchiveError, unpack


def packed(path: Path, files: dict[str, bytes], mode: int = 0o100644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr, entry.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return path


def test_regular_files_are_unpacked(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "a.zip", {"work/answers.yaml": b"a", "__MACOSX/work/._answers.yaml": b"", ".DS_Store": b""}
    )
    unpack(path, tmp_path / "out")
    assert [str(one.relative_to(tmp_path / "out")) for one in (tmp_path / "out").rglob("*") if one.is_file()] == [
        "work/answers.yaml"
    ]


def test_links_are_left_out(tmp_path: Path) -> None:
    unpack(packed(tmp_path / "a.zip", {"answers.yaml": b"/etc/passwd"}, 0o120777), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


REFUSED = {
    "a path upwards": ({"../x": b""}, "leads out of its folder"),
    "a path upwards inside": ({"a/../../x": b""}, "leads out of its folder"),
    "an absolute path": ({"/tmp/x": b""}, "leads out of its folder"),
    "a long name": ({"a" * 5_000: b""}, "too long"),
    "a bomb": ({"x": bytes(BYTES_MAX), "y": b"1"}, "more than 16 MiB"),
    "many files": ({f"{number}": b"" for number in range(FILES_MAX + 1)}, "more than 1000 files"),
    "a long part": ({"a" * 300: b""}, "is not a zip file that can be unpacked"),
    "a file that is a folder, too": ({"a": b"", "a/b": b""}, "is not a zip file that can be unpacked"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_are_not_unpacked(name: str, tmp_path: Path) -> None:
    files, message = REFUSED[name]
    with pytest.raises(ArchiveError, match=message) as found:
        unpack(packed(tmp_path / "a.zip", files), tmp_path / "out")
    assert "\n" not in str(found.value)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("octets", [b"", b"PK\x03\x04", b"Rar!\x1a\x07", bytes(1000)])
def test_a_file_that_is_no_zip_file(octets: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(octets)
    with pytest.raises(ArchiveError, match=r"a\.zip is not a zip file"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
