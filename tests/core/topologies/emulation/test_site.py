"""A generated site has exact sizes, pictures that decode, and the same octets for the same seed."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from lab7.experiments.http.lab import PNG_SIGNATURE, make_site
from lab7.services.http.page_load.html_links import find_links


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG as (kind, content); PNG (ISO/IEC 15948) section 5.3."""
    assert data.startswith(PNG_SIGNATURE)
    found, at = [], len(PNG_SIGNATURE)
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length) == (zlib.crc32(kind + content),)
        found.append((kind, content))
        at += 12 + length
    return found


@pytest.mark.parametrize("size_bytes", [1000, 12_500, 100_001])
def test_every_file_has_exactly_the_size_asked_for(tmp_path: Path, size_bytes: int) -> None:
    paths = make_site(tmp_path / "site", 4, size_bytes, seed=1)
    assert [path.name for path in paths] == ["index.html", "picture-1.png", "picture-2.png", "picture-3.png"]
    assert [path.stat().st_size for path in paths] == [size_bytes] * 4
    assert sorted(path.name for path in (tmp_path / "site").iterdir()) == sorted(path.name for path in paths)


def test_pictures_have_the_chunks_of_a_valid_png(tmp_path: Path) -> None:
    for path in make_site(tmp_path, 3, 12_500, seed=2)[1:]:
        found = chunks(path.read_bytes())
        assert [kind for kind, _ in found] == [b"IHDR", b"fiLl", b"IDAT", b"IEND"]
        # 16 rows of a filter octet and 16 pixels of three octets.
        assert len(zlib.decompress(found[2][1])) == 16 * (1 + 16 * 3)


def test_a_picture_library_decodes_them_to_one_colour(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for path in make_site(tmp_path, 3, 12_500, seed=3)[1:]:
        with image.open(path) as picture:
            picture.load()
            assert (picture.format, picture.size, picture.mode) == ("PNG", (16, 16), "RGB")
            assert len(picture.getcolors()) == 1


def test_the_page_names_every_picture_in_order(tmp_path: Path) -> None:
    page, *pictures = make_site(tmp_path, 5, 12_500, seed=4)
    links = find_links(page.read_bytes(), "http://www.example.com/")
    assert [link.url.rpartition("/")[2] for link in links] == [path.name for path in pictures]


def test_the_same_seed_makes_the_same_octets_and_times(tmp_path: Path) -> None:
    one, same, other = (make_site(tmp_path / name, 3, 5000, seed) for name, seed in (("a", 5), ("b", 5), ("c", 6)))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in same]
    assert [path.stat().st_mtime for path in one] == [path.stat().st_mtime for path in same]
    assert [path.read_bytes() for path in one] != [path.read_bytes() for path in other]


def test_a_page_of_many_pictures_has_as_many_octets_as_their_names_need(tmp_path: Path) -> None:
    page, *pictures = make_site(tmp_path, 100, 1000, seed=7)
    text = page.read_bytes()
    assert len(text) > 1000
    assert not text.endswith(b" ")
    assert {path.stat().st_size for path in pictures} == {1000}
    assert len(find_links(text, "http://www.example.com/")) == len(pictures)
