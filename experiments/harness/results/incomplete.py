"""Marker file of an incomplete result folder: `incomplete`, which contains the reason.

The file is created at the start of a run and removed at its end, so that a killed run leaves it behind.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from lab7.experiments.harness.capture.recorder import RAW_SUFFIX, salvage
from lab7.experiments.harness.results import partial
from lab7.experiments.harness.results.result import new_folder
from lab7.topologies.emulation import sandbox
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.watch import LabDied, Stopped

INCOMPLETE_NAME = "incomplete"


def make_folder(results: Path, name: str, started: datetime) -> Path:
    """Create and return the result folder of a run. Raises EmulationError on a failure."""
    try:
        return new_folder(results, name, started)
    except OSError as error:
        raise EmulationError(
            f"cannot store results in {results} ({error.strerror}): name a folder with --results"
        ) from error


@contextlib.contextmanager
def unfinished(folder: Path) -> Iterator[None]:
    """Keep a result folder marked as incomplete during a `with` block, until complete() is called.

    If the block fails, the reason is written to the marker file, and captured packets are kept; a folder without other
    files is removed.
    """
    mark = folder / INCOMPLETE_NAME
    with writing(folder):
        mark.write_text("This run is in progress, or was killed.\n")
    sandbox.unfinished(folder)
    try:
        yield
    except (LabDied, Stopped) as end:
        if mark_failed(folder, str(end)):
            raise end.kept_in(kept_files(folder)) from None
        raise
    except KeyboardInterrupt:
        stop = Stopped(signal.SIGINT)
        if mark_failed(folder, str(stop)):
            raise stop.kept_in(kept_files(folder)) from None
        raise stop from None
    except BaseException as error:
        mark_failed(folder, str(error) or type(error).__name__)
        raise
    finally:
        sandbox.unfinished(None)


def kept_files(folder: Path) -> str:
    """Return a text on an incomplete run: its folder, and the number of measurements in partial.csv, if that exists."""
    measured = partial.count(folder)
    return (
        f"{folder}, with {measured} measured time{'s' if measured > 1 else ''} in {partial.PARTIAL_NAME}"
        if measured
        else str(folder)
    )


def find_incomplete(results: Path) -> dict[Path, str]:
    """Return folder -> text of its marker file, for all runs in `results` marked as incomplete, newest first."""
    found = {}
    for mark in sorted(results.glob(f"*/*/{INCOMPLETE_NAME}"), key=lambda mark: mark.parent.name, reverse=True):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            found[mark.parent] = mark.read_text(encoding="utf-8").strip()
    return found


def mark_failed(folder: Path, why: str) -> bool:
    """Write the reason of a failure to the file that marks a run as incomplete; return True if other files exist.

    A folder without other files is removed.
    """
    mark, kept = folder / INCOMPLETE_NAME, False
    # Ignore errors: a full disk leaves the marker file unchanged, and a mounted folder cannot be removed from inside.
    with contextlib.suppress(OSError):
        # Convert the raw records of a packet recorder that was interrupted at its start or end.
        salvage_captures(folder)
        kept = any(path.name != INCOMPLETE_NAME for path in folder.iterdir())
        if kept:
            measured = partial.count(folder)
            times = f"Times measured until then: {measured}, in {partial.PARTIAL_NAME}\n" if measured else ""
            mark.write_text(f"This run did not end: {why}\n{times}")
        else:
            mark.unlink(missing_ok=True)
            folder.rmdir()
    return kept


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Convert an OSError in a `with` block that writes results to an EmulationError."""
    try:
        yield
    except OSError as error:
        raise EmulationError(
            f"cannot write the result to {folder} ({error.strerror}): free some space, or name a folder with --results"
        ) from error


def salvage_captures(folder: Path) -> None:
    """Convert the raw records of killed packet recorders in a folder to capture files."""
    for path in folder.glob(f"*{RAW_SUFFIX}"):
        salvage(path.with_name(path.name.removesuffix(RAW_SUFFIX)))


def complete(folder: Path) -> None:
    """Remove the file that marks a run as incomplete, since its folder now has a complete result."""
    (folder / partial.PARTIAL_NAME).unlink(missing_ok=True)
    (folder / INCOMPLETE_NAME).unlink(missing_ok=True)
