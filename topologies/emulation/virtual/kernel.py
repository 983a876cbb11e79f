"""Kernel for virtual time: user-mode Linux with a configuration and patches, and the cache of built kernels.

In virtual time, the kernel's clock is simulated, and advances only while all processes are idle. The recipe of a kernel
is its configuration and patches, in the folder kernel beside this file. A kernel is stored as
CACHE/lab7/kernels/RECIPE-VERSION/linux, where RECIPE is the hash of the recipe: a changed recipe is another kernel, and
the old one is not used.
"""

import hashlib
import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from lab7.topologies.emulation.errors import MachineError

RECIPE = Path(__file__).parent / "kernel"
CONFIGURATION = RECIPE / "config"
# Folder of kernels for all users of a machine, built by `scripts/provision.sh --vm`.
SHARED = Path("/var/cache/lab7/kernels")
PROGRAM = "linux"
ABOUT = "about.json"
HASH_DIGITS = 12
BUILD_HINT = "run `lab7 doctor --fix` once, which builds it in a few minutes"


@dataclass(frozen=True)
class Kernel:
    """A built kernel: program file, version of the source, hash of its configuration and patches (recipe)."""

    program: Path
    version: str
    recipe: str


def patches() -> list[Path]:
    """Return the kernel's patch files, in the order of application."""
    return sorted(RECIPE.glob("*.patch"))


def recipe_hash() -> str:
    """Return the hash of the kernel's configuration and patches, which identifies a built kernel."""
    digest = hashlib.sha256()
    for file in (CONFIGURATION, *patches()):
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:HASH_DIGITS]


def user_cache() -> Path | None:
    """Return the cache folder of this user, $XDG_CACHE_HOME or ~/.cache (XDG Base Directory Specification).

    Returns None for a user without a home folder, as in a container that runs as a user id without a name.
    """
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # A relative $XDG_CACHE_HOME is ignored, as the specification demands.
    if cache.startswith("/"):
        return Path(cache)
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return None


def user_folder() -> Path:
    """Return the folder of this user's kernels. Raises MachineError for a user without a home folder."""
    cache = user_cache()
    if cache is None:
        raise MachineError(
            "this user has no home folder for the kernel of virtual time: set XDG_CACHE_HOME to a folder"
        )
    return cache / "lab7" / "kernels"


def unsupported() -> str:
    """Return the reason why this machine cannot run user-mode Linux, which exists for x86 only; empty if it can."""
    machine = platform.machine()
    if platform.system() != "Linux" or machine != "x86_64":
        return f"virtual time runs in user-mode Linux, which needs Linux on x86-64; this machine is {machine}"
    return ""


def find() -> Kernel | None:
    """Return the kernel built with the current configuration and patches; None if it has not been built."""
    recipe = recipe_hash()
    folders = [SHARED] if user_cache() is None else [user_folder(), SHARED]
    for folder in folders:
        for place in _places(folder, recipe):
            kernel = _read(place, recipe)
            if kernel is not None:
                return kernel
    return None


def _places(folder: Path, recipe: str) -> list[Path]:
    """Return the folders of built kernels with a recipe hash, newest version first; [] if `folder` is unreadable."""
    try:
        return sorted(folder.glob(f"{recipe}-*"), reverse=True)
    except OSError:
        # Without $HOME an ordinary user's cache is that of root inside of the sandbox, where the user is root.
        return []


def _read(place: Path, recipe: str) -> Kernel | None:
    try:
        about = json.loads((place / ABOUT).read_text())
        version = str(about["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Kernel(place / PROGRAM, version, recipe) if os.access(place / PROGRAM, os.X_OK) else None


def require() -> Kernel:
    """Return the kernel built with the current configuration and patches. Raises MachineError with instructions."""
    if reason := unsupported():
        raise MachineError(reason)
    kernel = find()
    if kernel is None:
        raise MachineError(f"the kernel of virtual time is not built: {BUILD_HINT}")
    return kernel
