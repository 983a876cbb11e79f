"""Sentences for a machine that refuses namespaces: the switch or limit of the kernel, and the command that opens it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lab7.topologies.emulation import sandbox


def refusal(code: int) -> str:
    return sandbox._refusal(OSError(code, os.strerror(code)))


@pytest.fixture
def switches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in (("apparmor_restrict_unprivileged_userns", "0"), ("unprivileged_userns_clone", "1")):
        (tmp_path / name).write_text(f"{value}\n")
    (tmp_path / "user").mkdir()
    for kind in ("user", "net"):
        (tmp_path / "user" / f"max_{kind}_namespaces").write_text("95000\n")
    monkeypatch.setattr(sandbox, "SWITCHES", tuple((tmp_path / one[0].name, *one[1:]) for one in sandbox.SWITCHES))
    monkeypatch.setattr(sandbox, "LIMITS", tuple(tmp_path / "user" / one.name for one in sandbox.LIMITS))
    return tmp_path


def test_a_limit_of_zero_is_named(switches: Path) -> None:
    """It was told as `No space left on device`, with the advice to use sudo."""
    (switches / "user" / "max_user_namespaces").write_text("0\n")
    said = refusal(errno.ENOSPC)
    assert said.startswith(
        "this machine does not allow more namespaces: run `sudo sysctl user.max_user_namespaces=10000`"
    )
    assert "virtual" in said


@pytest.mark.usefixtures("switches")
def test_a_limit_that_is_reached_is_told_so() -> None:
    assert "or end other programs that use namespaces" in refusal(errno.ENOSPC)


@pytest.mark.parametrize(
    ("name", "forbids", "allows"),
    [("apparmor_restrict_unprivileged_userns", "1", "0"), ("unprivileged_userns_clone", "0", "1")],
)
def test_the_switch_that_forbids_is_named(switches: Path, name: str, forbids: str, allows: str) -> None:
    (switches / name).write_text(f"{forbids}\n")
    assert f"run `sudo sysctl kernel.{name}={allows}` once, or run lab7 with sudo" in refusal(errno.EPERM)


@pytest.mark.usefixtures("switches")
def test_without_a_known_switch_the_reason_is_the_kernel_s() -> None:
    assert refusal(errno.EPERM).startswith("namespaces cannot be created on this machine (Operation not permitted)")
