"""The script that installs, in a Debian root where nothing is: what stops it is one sentence, and a re-run goes on.

The tests are one story in one root, in this order: whatever went wrong before must not keep the next run from working.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.emulation.support import eventually
from tests.provision.root import PLACE, Root, make_base

PROVISION = "scripts/provision.sh"
STOPPED = 3
DISK_MB = 2000
# Holds the package manager's lock as apt-get does (fcntl(2), struct flock), says so, and waits.
HOLD_LOCK = (
    'perl -e \'open(F, "+>>", "/var/lib/dpkg/lock-frontend"); $lock = pack("s s x4 q q i x4", 1, 0, 0, 0, 0); '
    'fcntl(F, 6, $lock) or die; $| = 1; print "held\\n"; sleep 600\''
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    folder = tmp_path_factory.mktemp("root")
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(disk)], check=True)
    try:
        yield Root(make_base(folder), disk)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == STOPPED, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("setup: ")
    return lines[0]


def test_without_a_network_it_says_so(root: Root) -> None:
    assert "the network is away; check it and run this again" in sentence(root.run(PROVISION, network=False))


def test_a_lock_that_another_holds_is_waited_for_and_told(root: Root) -> None:
    script = f"coproc {HOLD_LOCK}; read -r _ <&${{COPROC[0]}}; {PROVISION}"
    said = sentence(root.run(script, LAB7_LOCK_WAIT_S="2"))
    assert "another package manager still runs after 2 s; let it end and run this again" in said


@pytest.mark.parametrize("left_mb", [30, 150], ids=["while packages are installed", "while the environment is made"])
def test_a_full_disk_is_told(root: Root, left_mb: int) -> None:
    fill = f"fallocate -l $(($(df --output=avail -m / | tail -n 1) - {left_mb}))M /filler"
    try:
        assert "the disk is full; free some space and run this again" in sentence(root.run(f"{fill}; {PROVISION}"))
    finally:
        assert root.run("rm /filler").returncode == 0


def test_a_run_that_is_killed_while_it_makes_the_environment_is_no_obstacle(root: Root) -> None:
    half_made = root.written(f"{PLACE}/.venv/bin/pip")
    with root.start(PROVISION) as process:
        try:
            assert eventually(lambda: half_made.exists() or process.poll() is not None, within_s=600)
        finally:
            process.kill()
    assert half_made.exists()
    assert not root.written(f"{PLACE}/.venv/.lab7-setup").exists()


def test_the_next_run_works(root: Root) -> None:
    done = root.run(PROVISION)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "setup: done; the command is .venv/bin/lab7"


def test_a_second_run_says_and_changes_nothing(root: Root) -> None:
    changed = "find / -xdev -newer /run/mark -not -path '/proc/*' -not -path '/sys/*' -type f"
    done = root.run(f"touch /run/mark; {PROVISION} && {changed}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_experiment_runs_there(root: Root) -> None:
    asked = "--repeat 1 --set strategies=1.1-persistent --links wire --json"
    done = root.run(f".venv/bin/lab7 run http-versions {asked}")
    verdicts = {one["id"]: one["verdict"] for one in json.loads(done.stdout)["results"][0]["claims"]}
    assert {claim: verdicts[claim] for claim in ("H1", "H2", "H3")} == dict.fromkeys(("H1", "H2", "H3"), "shown")


def test_a_half_made_environment_is_mended(root: Root) -> None:
    pip = ".venv/lib/python3.11/site-packages/pip"
    done = root.run(
        f"rm -r .venv/.lab7-setup {pip}/__main__.py {pip}/_internal; {PROVISION} && .venv/bin/lab7 --version"
    )
    assert (done.returncode, done.stderr) == (0, "")
