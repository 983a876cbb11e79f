"""Reader of an experiment run's capture, with the names of its hosts from result.json in the same folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab7.experiments.harness.capture.pcapng import CaptureReadError
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture, read_readable_capture
from lab7.experiments.harness.results.result import Result, ResultError


def read_named_capture(path: Path, result: Result | None = None, *, to_damage: bool = False) -> CaptureFile:
    """Read a capture file, with host names from `result` (default: the result.json in its folder, if any).

    With `to_damage`, a damaged or truncated file is read up to the defect. Raises CaptureReadError with a one-sentence
    message.
    """
    captured = read_readable_capture(path) if to_damage else read_capture(path)
    if result is None:
        try:
            result = Result.load(path.parent)
        except (OSError, ResultError):
            # Return the capture without names: it is from another program, or its run is incomplete.
            return captured
    return replace(captured, host_names=result.host_names)


def read_frames(path: Path, result: Result) -> CaptureFile | None:
    """Read a capture file for a picture in a report; return None for a file that is unreadable or has no frames."""
    try:
        captured = read_named_capture(path, result)
    except (CaptureReadError, OSError):
        return None
    return captured if captured.frames else None
