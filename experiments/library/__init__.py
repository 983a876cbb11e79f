"""Library interface of lab7: run experiments from Python, and read their results as tables and diagrams.

    import lab7

    result = lab7.run("http-versions", rtt="50ms", time="virtual")
    result.claims["H9"].verdict         # "shown": the packets confirm H9, a statement about HTTP pipelining
    result.samples                      # table: pandas DataFrame if pandas is installed
    result.ladder(claim="H9")           # drawn in a notebook; str() is text, .svg and .mermaid are strings
    lab7.results("results/").to_parquet("results.parquet")

Each name is imported from its module at its first use (PEP 562), so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab7.experiments.library.pictures import LadderPicture as LadderPicture
    from lab7.experiments.library.pictures import draw_ladder as draw_ladder
    from lab7.experiments.library.run_result import RunResult as RunResult
    from lab7.experiments.library.run_result import open_run as open_run
    from lab7.experiments.library.runs import ArgumentsError as ArgumentsError
    from lab7.experiments.library.runs import ProgramNotStartedError as ProgramNotStartedError
    from lab7.experiments.library.runs import RunError as RunError
    from lab7.experiments.library.runs import run as run
    from lab7.experiments.library.tables import Table as Table
    from lab7.experiments.library.tables import results as results

# Name of a module of this package -> public names of the package that the module defines.
MODULES: dict[str, tuple[str, ...]] = {
    "pictures": ("LadderPicture", "draw_ladder"),
    "run_result": ("RunResult", "open_run"),
    "runs": ("ArgumentsError", "ProgramNotStartedError", "RunError", "run"),
    "tables": ("Table", "results"),
}
_MODULE_OF = {name: module for module, names in MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name from its module at the first use. Raises AttributeError for an unknown name."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the names of the package, including names that are not imported yet."""
    return sorted({*globals(), *_MODULE_OF})
