"""User modules: Python files with a topology, an experiment or a service, loaded by path.

Modules beside such a file can be imported, as beside a script, but never shadow the standard library, this project or
an installed package. Errors in such a file are reported as one sentence with the file and the line.
"""

import importlib.util
import sys
import traceback
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from lab7.topologies.emulation.errors import EmulationError, UserFileError

SUFFIX = ".py"
# Folders of the loaded user files; exceptions raised in files there are reported as the user's errors.
_folders: set[Path] = set()


class _FinderBesideFiles(MetaPathFinder):
    """Import finder for modules in the folders of loaded user files, consulted after all other finders.

    The folders are not on sys.path, because the finder of an editable installation of this project is consulted after
    sys.path: a file lab7.py in such a folder would shadow the package.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a top-level module in the folders of user files; None if absent or named as in the standard library."""
        # Standard library modules are never loaded from user folders, even modules for other systems, such as winreg.
        if path is not None or fullname in sys.stdlib_module_names:
            return None
        return PathFinder.find_spec(fullname, [str(folder) for folder in sorted(_folders)], target)


_finder = _FinderBesideFiles()


def is_user_file(name: str) -> bool:
    """Return whether a word (of a command line or `serves`) is the path of a Python file, not a module name."""
    return name.endswith(SUFFIX)


def load(name: str, kind: str) -> ModuleType:
    """Execute a Python file as a module, and return the module. Raises UserFileError.

    kind: what the file is for, in the error message about a missing file.
    """
    path = _find(name, kind)
    spec = importlib.util.spec_from_file_location(f"own_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # sys.modules must have the module, because dataclasses and others look the module up there.
    sys.modules[spec.name] = module
    _execute(name, spec, module)
    return module


def run_as_main(name: str) -> None:
    """Execute a file as the module __main__. Raises UserFileError, lab7's errors, and the script's SystemExit."""
    path = _find(name, "is a script")
    spec = importlib.util.spec_from_file_location("__main__", path)
    assert spec is not None
    before = sys.modules["__main__"]
    module = sys.modules["__main__"] = importlib.util.module_from_spec(spec)
    try:
        _execute(name, spec, module, kept=(EmulationError, SystemExit))
    finally:
        sys.modules["__main__"] = before


def _find(name: str, kind: str) -> Path:
    """Return the path of a file, and make modules in its folder importable. Raises UserFileError if it is missing."""
    path = Path(name).resolve()
    if not path.is_file():
        raise UserFileError(f"there is no file {name!r}: give the path of a Python file that {kind}")
    _folders.add(path.parent)
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)
    return path


def _execute(
    name: str, spec: ModuleSpec, module: ModuleType, kept: tuple[type[BaseException], ...] = (UserFileError,)
) -> None:
    """Execute a user's file; convert its errors to UserFileError with the line, except errors of the classes `kept`."""
    assert spec.loader is not None
    try:
        spec.loader.exec_module(module)
    except kept:
        raise
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UserFileError(f"{name} cannot be read as Python: {type(error).__name__}: {error}") from error
    except (Exception, SystemExit) as error:
        # Python before 3.11.4 raises ValueError for a file that contains NUL, before any line runs.
        if isinstance(error, ValueError) and explain(error) is None:
            raise UserFileError(f"{name} cannot be read as Python: {_named(error)}") from error
        raise UserFileError(explain(error) or f"{name} fails: {_named(error)}") from error


def explain(error: BaseException) -> str | None:
    """Return a description of an error with its line in a user file; None if its traceback has no user file."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.parent in _folders:
            return f"{path.name}, line {frame.lineno}, fails: {_named(error)}"
    return None


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ").replace("\n", " ")
