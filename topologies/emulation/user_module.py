"""Python files of a person's own: a topology, an experiment or a service that is no module of this project.

What lies beside such a file can be imported, as beside a script, but never takes the place of a module of the standard
library, of this project or of an installed package. Its mistakes are the person's to mend, so each is one sentence that
names the file and the line.
"""

import importlib.util
import sys
import traceback
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from topologies.emulation.errors import OwnFileError

SUFFIX = ".py"
# Folders of the files that were loaded here: what fails in one of them is a person's own.
_folders: set[Path] = set()


class _FinderBesideFiles(MetaPathFinder):
    """Finds modules in the folders of the files that were loaded, when no other finder has found one.

    The folders are not on sys.path: the finder of an editable installation of this project is asked after that path, so
    that a file services.py there would hide the package.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A module of its own name in one of the folders; names of the standard library are left to it."""
        # Some of those exist on other systems only, and are tried first here as well (msvcrt, winreg).
        if path is not None or fullname in sys.stdlib_module_names:
            return None
        return PathFinder.find_spec(fullname, [str(folder) for folder in sorted(_folders)], target)


_finder = _FinderBesideFiles()


def is_own_file(name: str) -> bool:
    """Whether a name on a command line, or the first word of what a host serves, is a file and no module."""
    return name.endswith(SUFFIX)


def load(name: str, kind: str) -> ModuleType:
    """Execute a file; `kind` says what it should have been. Raises OwnFileError."""
    path = Path(name).resolve()
    if not path.is_file():
        raise OwnFileError(f"there is no file {name!r}: give the path of a Python file that {kind}")
    spec = importlib.util.spec_from_file_location(f"own_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Looked up by dataclasses, among others.
    sys.modules[spec.name] = module
    _folders.add(path.parent)
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise OwnFileError(f"{name} cannot be read as Python: {type(error).__name__}: {error}") from error
    except (Exception, SystemExit) as error:
        # Python before 3.11.4 says ValueError of a file with NUL in it, before any line of it runs.
        if isinstance(error, ValueError) and explain(error) is None:
            raise OwnFileError(f"{name} cannot be read as Python: {_named(error)}") from error
        raise OwnFileError(explain(error) or f"{name} fails: {_named(error)}") from error
    return module


def explain(error: BaseException) -> str | None:
    """Say where an error arose, if that was in a person's own file; None if no such file took part."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.parent in _folders:
            return f"{path.name}, line {frame.lineno}, fails: {_named(error)}"
    return None


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ").replace("\n", " ")
