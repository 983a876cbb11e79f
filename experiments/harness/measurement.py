"""The measurement of a workload: its time window, its failure, and a folder for an origin to serve."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from experiments.harness.experiment import Run


@dataclass(frozen=True)
class Window:
    """When a load began and ended, on the capture's clock (CLOCK_REALTIME) in nanoseconds."""

    start_ns: int
    end_ns: int


class LoadFailedError(Exception):
    """A page could not be loaded; the message is what the client said, `window` when it tried."""

    def __init__(self, message: str, window: Window | None = None) -> None:
        super().__init__(message)
        self.window = window


@contextmanager
def site_folder(context: Run) -> Iterator[Path]:
    """A folder for the origin to serve, gone afterwards."""
    folder = Path("/run") / f"site-{context.folder.name}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
