"""Static files: changes between two requests are detected, and no path leaves the root."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lab7.services.http.files.static import Representation, StaticFiles

# Far later than any file's change, so that every file may be cached.
LATER = 4_000_000_000.0


class Site:
    """A root directory, and a folder beside it."""

    def __init__(self, folder: Path) -> None:
        self.root, self.outside = folder / "www", folder / "outside"
        (self.root / "one" / "deep").mkdir(parents=True)
        (self.root / "two" / "deep").mkdir(parents=True)
        self.outside.mkdir()
        for name in ("one", "two"):
            (self.root / name / "deep" / "f.txt").write_text(name)
        self.files = StaticFiles(self.root, lambda: LATER)

    def get(self, path: bytes) -> bytes | None:
        """Return the content from two lookups, the second one from the cache."""
        representation = self.files.find(path)
        assert self.files.find(path) is representation or not isinstance(representation, Representation)
        return representation.content if isinstance(representation, Representation) else None

    def turn(self, link: Path, target: Path | str) -> None:
        """Replace a symbolic link atomically, as deployments do."""
        fresh = link.with_name("fresh")
        fresh.symlink_to(target)
        fresh.rename(link)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_link_to_a_file_is_followed_to_where_it_points_now(site: Site) -> None:
    link = site.root / "link.txt"
    link.symlink_to("one/deep/f.txt")
    assert site.get(b"/link.txt") == b"one"
    site.turn(link, "two/deep/f.txt")
    assert site.get(b"/link.txt") == b"two"
    link.unlink()
    assert site.get(b"/link.txt") is None


def test_a_link_to_a_directory_is_followed_to_where_it_points_now(site: Site) -> None:
    link = site.root / "current"
    link.symlink_to("one")
    assert site.get(b"/current/deep/f.txt") == b"one"
    site.turn(link, "two")
    assert site.get(b"/current/deep/f.txt") == b"two"
    site.turn(link, site.outside)
    assert site.get(b"/current/deep/f.txt") is None


def leave_by_file(site: Site) -> None:
    (site.root / "one" / "deep" / "f.txt").rename(site.outside / "f.txt")
    (site.root / "one" / "deep" / "f.txt").symlink_to(site.outside / "f.txt")


def leave_by_directory(site: Site) -> None:
    (site.root / "one" / "deep").rename(site.outside / "deep")
    (site.root / "one" / "deep").symlink_to(site.outside / "deep")


def leave_by_outer_directory(site: Site) -> None:
    (site.root / "one").rename(site.outside / "one")
    (site.root / "one").symlink_to(site.outside / "one")


@pytest.mark.parametrize("leave", [leave_by_file, leave_by_directory, leave_by_outer_directory])
@pytest.mark.parametrize("path", [b"/one/deep/f.txt", b"/link/deep/f.txt", b"//one//deep/f.txt"])
def test_the_same_file_moved_out_of_the_root_is_not_there(
    site: Site, leave: Callable[[Site], None], path: bytes
) -> None:
    (site.root / "link").symlink_to("one")
    assert site.get(path) == b"one"
    leave(site)
    assert site.get(path) is None


def test_an_index_that_is_a_link_is_followed_to_where_it_points_now(site: Site) -> None:
    index = site.root / "index.html"
    index.symlink_to("one/deep/f.txt")
    assert site.get(b"/") == b"one"
    site.turn(index, "two/deep/f.txt")
    assert site.get(b"/") == b"two"
    site.turn(index, site.outside)
    assert site.get(b"/") is None


def test_a_change_that_hides_behind_an_old_time_is_another_state(site: Site) -> None:
    file = site.root / "one" / "deep" / "f.txt"
    os.utime(file, (1_000_000_000, 1_000_000_000))
    before = site.files.find(b"/one/deep/f.txt")
    # Repeat until the file system's clock has ticked.
    while isinstance(before, Representation) and file.stat().st_ctime_ns == before.identity[-1]:
        file.write_text("two")
        os.utime(file, (1_000_000_000, 1_000_000_000))
    after = site.files.find(b"/one/deep/f.txt")
    assert isinstance(before, Representation)
    assert isinstance(after, Representation)
    assert after.content == b"two"
    assert after.validators.last_modified == before.validators.last_modified
    assert after.validators.entity_tag != before.validators.entity_tag


def test_one_content_has_one_entity_tag_wherever_and_whenever_it_was_written(site: Site) -> None:
    (site.root / "copy").write_bytes((site.root / "one" / "deep" / "f.txt").read_bytes())
    os.utime(site.root / "copy", (1_000_000_000, 1_000_000_000))
    tags = []
    for path in (b"/one/deep/f.txt", b"/copy"):
        representation = site.files.find(path)
        assert isinstance(representation, Representation)
        tags.append(representation.validators.entity_tag)
    assert tags[0] == tags[1]


LARGE_OCTETS = 100_000


def large_tag(path: Path, now: float) -> bytes:
    found = StaticFiles(path.parent, lambda: now).find(b"/" + path.name.encode())
    assert isinstance(found, Representation)
    assert found.content is None
    return found.validators.entity_tag


def test_copies_of_a_large_file_have_one_strong_tag_without_the_inode(site: Site) -> None:
    one, other = site.root / "large", site.outside / "large"
    for path in (one, other):
        path.write_bytes(bytes(LARGE_OCTETS))
        os.utime(path, ns=(0, 1_000_000_000_000_000_007))
    tags = {large_tag(path, LATER) for path in (one, other)}
    assert tags == {b'"%x-%x"' % (1_000_000_000_000_000_007, LARGE_OCTETS)}
    os.utime(other, ns=(0, 1_000_000_000_000_000_008))
    assert large_tag(other, LATER) not in tags


def test_the_tag_of_a_large_file_that_has_just_changed_is_weak(site: Site) -> None:
    path = site.root / "large"
    path.write_bytes(bytes(LARGE_OCTETS))
    written = path.stat().st_ctime
    assert large_tag(path, written + 0.01) == b"W/" + large_tag(path, written + 1)
