"""Start-up check of the directory that holds all mailboxes."""

import errno
import tempfile
from pathlib import Path

import pytest

from lab7.services.errors import ServiceError
from lab7.services.mail.maildir.root import check_root

DOMAINS = ("example.com", "example.org")


def test_it_is_made_and_stays_empty(tmp_path: Path) -> None:
    root = tmp_path / "not" / "there"
    check_root(root, DOMAINS)
    check_root(root, DOMAINS)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("where", ["/proc/x", "/proc", "file", "file/x"])
def test_one_that_cannot_be_used_is_told(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match=r"cannot store mailboxes in .*: name another with --maildirs\Z"):
        check_root(tmp_path / where, DOMAINS)


def test_a_domain_that_is_elsewhere_is_looked_at_there(tmp_path: Path) -> None:
    (tmp_path / "example.org").symlink_to("/proc")
    check_root(tmp_path, ["example.com"])
    with pytest.raises(ServiceError, match="cannot store mailboxes"):
        check_root(tmp_path, DOMAINS)


def test_a_full_disk_keeps_no_server_from_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    check_root(tmp_path, DOMAINS)
