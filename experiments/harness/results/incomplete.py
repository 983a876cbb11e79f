"""The mark of a result folder that holds no whole result: a file `incomplete`, which says why.

It is there from the beginning of a run, so that also a run that was killed has left it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from experiments.harness.capture.recorder import RAW_SUFFIX, salvage
from experiments.harness.results.folder import new_folder
from topologies.emulation import sandbox
from topologies.emulation.errors import EmulationError
from topologies.emulation.watch import LabDied

INCOMPLETE_NAME = "incomplete"


def make_folder(results: Path, name: str, started: datetime) -> Path:
    """A new folder for this run. Raises EmulationError where none can be made."""
    try:
        return new_folder(results, name, started)
    except OSError as error:
        raise EmulationError(
            f"no results can be kept in {results} ({error.strerror}): name a folder by --results"
        ) from error


@contextlib.contextmanager
def unfinished(folder: Path) -> Iterator[None]:
    """Mark a result folder as incomplete; it stays so until the mark is removed. Where the block fails, the mark says
    why, what was captured by then is kept, and an empty folder, which would only be in the way, is removed.
    """
    mark = folder / INCOMPLETE_NAME
    with writing(folder):
        mark.write_text("This run has not ended, or was killed.\n")
    sandbox.unfinished(folder)
    try:
        yield
    except LabDied as death:
        if leave(folder, str(death)):
            raise death.kept_in(str(folder)) from None
        raise
    except BaseException as error:
        leave(folder, str(error) or type(error).__name__)
        raise
    finally:
        sandbox.unfinished(None)


def leave(folder: Path, why: str) -> bool:
    """Leave the folder of a run that failed; returns whether anything is in it."""
    mark = folder / INCOMPLETE_NAME
    kept = any(path.name != INCOMPLETE_NAME for path in folder.iterdir())
    # Without room the mark stays as it is; and a folder that is mounted cannot be removed from inside.
    with contextlib.suppress(OSError):
        if kept:
            mark.write_text(f"This run did not end: {why}\n")
        else:
            mark.unlink(missing_ok=True)
            folder.rmdir()
    return kept


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What cannot be written is one sentence."""
    try:
        yield
    except OSError as error:
        raise EmulationError(
            f"the result cannot be written to {folder} ({error.strerror}): make room, or name a folder by --results"
        ) from error


def salvage_captures(folder: Path) -> None:
    """Make captures of what capturing processes had written in a folder when they were killed."""
    for path in folder.glob(f"*{RAW_SUFFIX}"):
        salvage(path.with_name(path.name.removesuffix(RAW_SUFFIX)))


def complete(folder: Path) -> None:
    """Take the mark away: the folder holds a whole result."""
    (folder / INCOMPLETE_NAME).unlink(missing_ok=True)
