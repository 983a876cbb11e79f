"""The Vagrantfile is one that Vagrant accepts, with the settings that it offers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
# Vagrant alone takes seconds to start.
pytestmark = pytest.mark.slow


def validate(home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("vagrant") is None:
        pytest.skip("needs the program vagrant")
    return subprocess.run(
        # The providers are programs of their own, of which the machine needs none for this.
        ["vagrant", "validate", "--ignore-provider"],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "VAGRANT_HOME": str(home),
            "VAGRANT_DOTFILE_PATH": str(home / "dot"),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            **settings,
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_vagrant_accepts_it(tmp_path: Path) -> None:
    done = validate(tmp_path, LAB7_CORES="4", LAB7_MEMORY_MB="4096", LAB7_PORT="8080", LAB7_BOX="bento/ubuntu-24.04")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Vagrantfile validated successfully." in done.stdout


def test_a_setting_that_cannot_be_is_refused(tmp_path: Path) -> None:
    done = validate(tmp_path, LAB7_CORES="many")
    assert done.returncode != 0
    assert 'invalid value for Integer(): "many"' in done.stdout + done.stderr
