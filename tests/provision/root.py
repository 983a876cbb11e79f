"""A clean Debian root, in which the script that installs is run as on a plain machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
# Where the project lies in the root.
PLACE = "/opt/lab7"
# A folder whose files are put into the root first: what a site needs to reach its mirrors.
EXTRA = os.environ.get("LAB7_ROOT_EXTRA", "")
# Settings that a site's mirrors need; nothing else of this environment is known in the root.
HANDED_ON = ("http_proxy", "https_proxy", "no_proxy", "PIP_", "SSL_CERT_", "REQUESTS_CA_BUNDLE")
BASE_TIMEOUT_S, RUN_TIMEOUT_S = 600.0, 900.0
# login.defs(5): ENV_PATH of Debian, which every user but root has. It lacks the folders of tc, brctl and most servers.
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"


def make_base(folder: Path, include: str = "", project: bool = True) -> Path:
    """A root with what Debian always has, the packages of `include`, and the project as it is committed."""
    base = folder / "base"
    words = [
        "debootstrap",
        "--variant=minbase",
        *([f"--include={include}"] if include else []),
        SUITE,
        str(base),
        MIRROR,
    ]
    subprocess.run(words, check=True, capture_output=True, timeout=BASE_TIMEOUT_S)
    if EXTRA:
        shutil.copytree(EXTRA, base, dirs_exist_ok=True)
    if not project:
        return base
    place = base / PLACE.lstrip("/")
    place.mkdir(parents=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        # lab7/ has symbolic links to the packages.
        shutil.copy2(REPOSITORY / name, place / name, follow_symlinks=False)
    return base


class Root:
    """A copy of a base; what was written in it stays from one run to the next."""

    def __init__(self, base: Path, disk: Path) -> None:
        self._base = base
        self._disk = disk

    def written(self, name: str) -> Path:
        """A file of the root, as far as it was written since."""
        return self._disk / "upper" / name.lstrip("/")

    def start(self, script: str, *, network: bool = True, **settings: str) -> subprocess.Popen[str]:
        """Start a script of bash in the project's folder; killed, it ends with all that it started."""
        apart = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
        apart += [] if network else ["--net"]
        enter = [str(REPOSITORY / "tests/provision/enter.sh"), str(self._base), str(self._disk)]
        return subprocess.Popen(
            [*apart, *enter, "bash", "-c", f"cd {PLACE}\n{script}"],
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, script: str, *, network: bool = True, timeout_s: float = RUN_TIMEOUT_S, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script to its end."""
        with self.start(script, network=network, **settings) as process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(script, process.returncode, out, err)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a plain machine."""
    handed_on = {name: value for name, value in os.environ.items() if name.startswith(HANDED_ON)}
    return {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **handed_on, **settings}
