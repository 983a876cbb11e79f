"""User modules: Python files with a topology, an experiment or a service, loaded by path.

Modules beside such a file can be imported, as beside a script, but never shadow the standard library, this project or
an installed package. Errors in such a file are reported as one sentence with the file and the line, errors of a script
by a traceback of the user's own files.
"""

import importlib.util
import sys
import traceback
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

import lab7
from lab7.topologies.emulation.errors import EmulationError, MachineError, UserFileError

SUFFIX = ".py"
# Folders of the loaded user files; exceptions raised in files below them are reported as the user's errors.
_folders: set[Path] = set()
# Folders or files of plug-in packages, whose errors are explained as those of the user's own files.
_plugins: set[Path] = set()
_PACKAGE = Path(lab7.__file__).parent
# Names of folders of installed packages (a virtual environment may be in the folder of a user file).
_INSTALLED = frozenset(("site-packages", "dist-packages"))


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
    """Execute a user's Python file as a module, and return the module. Raises UserFileError.

    kind: purpose of the file, for the error message if the file is missing.
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
    """Execute a file as the module __main__. Raises UserFileError, lab7's errors, and the script's SystemExit.

    For any other exception, print the traceback, and raise SystemExit with code 1, as `python3 FILE` does.
    """
    path = _find(name, "is a script")
    spec = importlib.util.spec_from_file_location("__main__", path)
    assert spec is not None
    assert spec.loader is not None
    before = sys.modules["__main__"]
    module = sys.modules["__main__"] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (EmulationError, SystemExit):
        raise
    except ImportError as error:
        raise missing(name, error) from error
    except Exception as error:
        if not _lines(error):
            raise UserFileError(_without_line(name, error)) from error
        sys.stderr.write(own_traceback(error))
        raise SystemExit(1) from error
    finally:
        sys.modules["__main__"] = before


# Packages beside Mininet, with nodes that a testbed does not have: module -> its project.
_OTHERS = {"mn_wifi": "Mininet-WiFi", "containernet": "Containernet", "ipmininet": "IPMininet", "p4utils": "P4-utils"}
_OTHERS |= {"p4_mininet": "P4", "p4runtime_lib": "P4", "p4runtime_switch": "P4", "bmv2": "P4", "mn_iot": "Mininet-IoT"}


def missing(name: str, error: ImportError) -> EmulationError:
    """Return the error for a user's file that imports a missing module; its message names the line and the remedy."""
    lines = _lines(error)
    place = f"{Path(lines[-1].filename).name}, line {lines[-1].lineno}," if lines else name
    top = (error.name or "").partition(".")[0]
    if other := _OTHERS.get(top):
        return UserFileError(
            f"{place} imports {top} of {other}, whose nodes a testbed lacks: it runs files for Mininet"
        )
    if top == "mininet":
        return UserFileError(
            f"{place} fails: {_named(error)}: a testbed runs files for Mininet 2.3, which has no such name"
        )
    if isinstance(error, ModuleNotFoundError) and top:
        return MachineError(
            f"{place} imports {top}, which lab7's Python lacks: `{sys.executable} -m pip install {top}`"
        )
    return UserFileError(f"{place} fails: {_named(error)}")


def _find(name: str, kind: str) -> Path:
    """Return the path of a file, and make modules in its folder importable. Raises UserFileError if it is missing."""
    path = Path(name).resolve()
    if not path.is_file():
        raise UserFileError(f"there is no file {name!r}: give the path of a Python file that {kind}")
    _folders.add(path.parent)
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)
    return path


def _execute(name: str, spec: ModuleSpec, module: ModuleType) -> None:
    """Execute a user's Python file as a module; errors in it raise UserFileError with their line."""
    assert spec.loader is not None
    try:
        spec.loader.exec_module(module)
    except UserFileError:
        raise
    except (Exception, SystemExit) as error:
        raise UserFileError(explain(error) or _without_line(name, error)) from error


def import_plugin(name: str) -> ModuleType:
    """Import a module of another distribution (an entry point of lab7). Raises UserFileError if it cannot be imported.

    Errors in the package of that module are explained like errors in a user's file from then on.
    """
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise UserFileError(f"the module {name} of an installed package cannot be imported: {_named(error)}") from error
    if module.__file__ is not None:
        file = Path(module.__file__)
        _plugins.add(file.parent if "." in name or file.name == "__init__.py" else file)
    return module


def explain(error: BaseException) -> str | None:
    """Return a description of an error, with the line in a user's file that caused it.

    Returns None if no user's file is involved.
    """
    lines = _lines(error)
    return f"{Path(lines[-1].filename).name}, line {lines[-1].lineno}, fails: {_named(error)}" if lines else None


def own_traceback(error: BaseException) -> str:
    """Return the traceback of an error as Python prints it, reduced to the calls in the user's files."""
    whole = traceback.TracebackException.from_exception(error)
    pending = [whole]
    while pending:
        part = pending.pop()
        part.stack[:] = filter(_is_of_user, part.stack)
        # `exceptions`: the parts of an ExceptionGroup.
        pending += [one for one in (part.__cause__, part.__context__, *(part.exceptions or ())) if one is not None]
    return "".join(whole.format())


def _lines(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the calls in user files of an error's traceback, outermost first."""
    return list(filter(_is_of_user, traceback.extract_tb(error.__traceback__)))


def _is_of_user(call: traceback.FrameSummary) -> bool:
    path = Path(call.filename)
    return any(path.is_relative_to(place) for place in _plugins) or (
        any(path.is_relative_to(folder) for folder in _folders)
        and not path.is_relative_to(_PACKAGE)
        and _INSTALLED.isdisjoint(path.parts)
    )


def _without_line(name: str, error: BaseException) -> str:
    """Return a description of an error raised before any line of a user's file ran, such as a syntax error."""
    # Python before 3.11.4 raises ValueError for a file that contains NUL.
    unreadable = isinstance(error, SyntaxError | ValueError)
    return f"{name} {'cannot be read as Python' if unreadable else 'fails'}: {_named(error)}"


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ").replace("\n", " ")
