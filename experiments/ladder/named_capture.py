"""Captures of runs with the names of their hosts, from the result.json in the same folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from lab7.experiments.harness.results.result import Result, ResultError


def read_named_capture(path: Path, result: Result | None = None) -> CaptureFile:
    """Read a capture file; name its hosts as `result` does, by default the result.json in its folder, if any.

    Raises CaptureReadError with a one-sentence message.
    """
    captured = read_capture(path)
    if result is None:
        try:
            result = Result.load(path.parent)
        except (OSError, ResultError):
            # A capture of another program, or a result that did not end.
            return captured
    return replace(captured, host_names=result.host_names)
