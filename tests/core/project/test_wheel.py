"""Content of the wheel: every data file of the packages is declared, as an installation has nothing else."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path, PurePosixPath

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PACKAGES = ("services", "topologies", "experiments")
DATA = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]


def committed() -> list[PurePosixPath]:
    try:
        done = subprocess.run(
            ["git", "ls-files", "-z", *PACKAGES], cwd=REPOSITORY, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a git checkout: {error}")
    return [PurePosixPath(name) for name in done.stdout.split("\0") if name]


def test_every_data_file_is_declared() -> None:
    files = [path for path in committed() if path.suffix != ".py"]
    assert files
    found = [path for path in files if any(_matches(path, pattern) for pattern in DATA[f"lab7.{path.parts[0]}"])]
    assert [str(path) for path in files if path not in found] == []


def _matches(path: PurePosixPath, pattern: str) -> bool:
    # A pattern of setuptools is relative to the package, and `*` stays in one folder.
    inner = PurePosixPath(*path.parts[1:])
    return len(inner.parts) == len(PurePosixPath(pattern).parts) and inner.match(pattern)


def test_every_folder_with_modules_is_a_package() -> None:
    """Packages are found by their __init__.py; a folder without is left out of the wheel."""
    folders = {path.parent for path in committed() if path.suffix == ".py"}
    assert [str(folder) for folder in folders if not (REPOSITORY / folder / "__init__.py").exists()] == []
