"""Command-line argument CAPTURE: the path of a capture file, or a run, which stands for the capture in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lab7.experiments.harness.results.run_folder import LATEST, RunNotFoundError, load_run

RESULTS = Path("results")


class CapturePath(click.Path):
    """Type of the argument CAPTURE: a file, or a run (folder, EXPERIMENT, EXPERIMENT/latest) with a capture."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path of the capture file. Raises click.BadParameter."""
        path = Path(value)
        if path.exists() and not path.is_dir():
            return path
        # A file of the newest run, such as results/http-versions/latest/capture.pcapng.
        of_latest = path.parent.name == LATEST
        try:
            folder, result = load_run(str(path.parent if of_latest else path), RESULTS)
        except RunNotFoundError as error:
            kind = f"{path} is a folder without a run" if path.is_dir() else f"there is no file {path}"
            self.fail(f"{kind}, and {error}", param, ctx)
        name = path.name if of_latest else result.files.capture
        if name is None:
            self.fail(f"the run in {folder} has no capture", param, ctx)
        if not (folder / name).is_file():
            self.fail(f"there is no file {folder / name}", param, ctx)
        return folder / name
