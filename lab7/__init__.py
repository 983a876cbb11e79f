"""Import package of lab7: the services, topologies and experiments, of which a checkout has symbolic links here.

In the sources the three packages are folders of the top level (services, topologies, experiments). They are imported as
lab7.services, lab7.topologies and lab7.experiments, in a checkout as in an installation, so that an installation adds
one name to the top level, and a project with packages of these names of its own can use lab7.

    import lab7

    result = lab7.run("http-versions", rtt="50ms", time="virtual")
    table = lab7.results("results/")

The names of lab7.experiments.library are names of this package, too, imported at their first use (PEP 562).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab7.experiments.library import (
        ArgumentsError,
        LadderPicture,
        ProgramNotStartedError,
        RunError,
        RunResult,
        Table,
        draw_ladder,
        open_run,
        results,
        run,
    )

__all__ = [
    "ArgumentsError",
    "LadderPicture",
    "ProgramNotStartedError",
    "RunError",
    "RunResult",
    "Table",
    "draw_ladder",
    "open_run",
    "results",
    "run",
]


def __getattr__(name: str) -> Any:
    """Import a name of the library at its first use. Raises AttributeError for an unknown name."""
    if name in __all__:
        from lab7.experiments import library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
