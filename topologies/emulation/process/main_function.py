"""Call of the function main() of a module, or of a user's Python file, in this process, without a new interpreter."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from lab7.topologies.emulation import user_module
from lab7.topologies.emulation.errors import UserFileError


def process_name(module: str) -> str:
    """Return the name by which ps lists a process that runs a module or file, in place of the fork server's name."""
    return Path(module).stem if user_module.is_user_file(module) else module.rpartition(".")[2]


def run(module: str, argv: list[str]) -> int:
    """Run the main function of a module in this process; return its exit status."""
    sys.argv = [module, *argv]
    try:
        result = _main_of(module)(argv)
    except SystemExit as leaving:
        result = leaving.code
    if isinstance(result, str):
        print(result, file=sys.stderr)
        return 1
    return int(result or 0)


def _main_of(name: str) -> Callable[[list[str]], int | str | None]:
    """Return the main function of a module or of a user's Python file. Raises SystemExit with the reason."""
    if not user_module.is_user_file(name):
        return importlib.import_module(name).main  # type: ignore[no-any-return]
    try:
        function = getattr(user_module.load(name, "has a main(argv)"), "main", None)
    except UserFileError as error:
        raise SystemExit(str(error)) from None
    if not callable(function):
        raise SystemExit(f"{name} has no main(argv): define one that serves, and prints READY once it does")
    return function  # type: ignore[no-any-return]
