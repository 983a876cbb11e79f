"""The wheel in a clean Debian root: an ordinary user installs it, `lab7 doctor --fix` supplies the rest, it runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.provision.root import PLACE, Root, make_base

USER = "student"
# sudo asks for no password here, as on a virtual machine of a cloud.
MAKE_USER = f"""
/usr/sbin/useradd --create-home --shell /bin/bash {USER}
echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{USER}
"""


def as_user(script: str) -> str:
    return f"su - {USER} -c '{script}'"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    folder = tmp_path_factory.mktemp("installed")
    disk = folder / "disk"
    disk.mkdir()
    try:
        base = make_base(folder, include="python3-venv,sudo,ca-certificates")
        # Built from the copy, since a build leaves files in the sources, and then without them.
        checkout = base / PLACE.lstrip("/")
        words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(base / "wheels"), str(checkout)]
        subprocess.run(words, check=True)
        shutil.rmtree(checkout)
        checkout.mkdir()
        yield Root(base, disk)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_the_wheel_is_installed_and_the_doctor_says_what_is_missing(root: Root) -> None:
    install = "python3 -m venv lab && lab/bin/pip install --quiet --no-index --find-links /wheels lab7"
    done = root.run(MAKE_USER + as_user(install))
    assert done.returncode == 0, done.stdout + done.stderr
    done = root.run(as_user("lab/bin/lab7 doctor"))
    assert done.returncode == 3, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("or run `lab7 doctor --fix`.")


def test_the_doctor_lists_and_then_supplies_it(root: Root) -> None:
    done = root.run(as_user("lab/bin/lab7 doctor --fix --no-kernel --json"))
    assert '"command": "sudo apt-get install --no-install-recommends' in done.stdout
    done = root.run(as_user("lab/bin/lab7 doctor --fix --no-kernel --yes"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "lab7 can run on this machine."
    again = root.run(as_user("lab/bin/lab7 doctor --fix --no-kernel"))
    assert "There is nothing that lab7 can fix here." in again.stdout


def test_an_experiment_runs(root: Root) -> None:
    done = root.run(as_user("lab/bin/lab7 run http-versions --repeat 1 --links wire"))
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert "H1" in done.stdout
