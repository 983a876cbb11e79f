"""A structured event log: one JSON object per line (JSON Lines), read by experiments and by the grading of assignments.

    {"time": 1752150000.123456, "event": "request", "peer": "127.0.0.1:50112", "status": 200}

`time` is the wall clock in seconds since 1970 UTC. Octets are decoded as ASCII with backslash escapes, so that a line
stays one line whatever a peer sent.
"""

import json
import sys
from collections.abc import Callable
from typing import TextIO

from lab7.services.errors import ServiceError

STANDARD_ERROR = "-"


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", "backslashreplace")
    return str(value)


class EventLog:
    """Writer of events to `stream` as JSON Lines; without a stream nothing is written and `enabled` is False."""

    def __init__(self, stream: TextIO | None, wall_clock: Callable[[], float]) -> None:
        self.enabled = stream is not None
        self._stream = stream
        self._wall_clock = wall_clock

    @property
    def on_standard_error(self) -> bool:
        """True if events go to standard error; then no other lines may be written there."""
        return self._stream is sys.stderr

    def write(self, event: str, **values: object) -> None:
        """Write one event; values that JSON cannot encode are written as text."""
        if self._stream is None:
            return
        record = {"time": round(self._wall_clock(), 6), "event": event, **values}
        self._stream.write(json.dumps(record, default=_as_text) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Close the log file, but not standard error."""
        if self._stream is not None and self._stream is not sys.stderr:
            self._stream.close()


def report(log: EventLog, program: str, event: str, sentence: str, label: str = "") -> None:
    """Write an event and its reason to the log; print the program's name and the reason on standard error.

    `label`, such as `warning: `, precedes the printed reason. Nothing is printed if the log is standard error.
    """
    log.write(event, reason=sentence)
    if not log.on_standard_error:
        print(f"{program}: {label}{sentence}", file=sys.stderr)


def open_log(name: str | None, wall_clock: Callable[[], float]) -> EventLog:
    """Open the log that `--log` names: a file to append to, `-` for standard error, None for no log.

    Raises ServiceError if the file cannot be opened.
    """
    if name is None:
        return EventLog(None, wall_clock)
    if name == STANDARD_ERROR:
        return EventLog(sys.stderr, wall_clock)
    try:
        return EventLog(open(name, "a", encoding="utf-8"), wall_clock)
    except OSError as error:
        reason = error.strerror
        raise ServiceError(f"cannot write the log {name} ({reason}): name another file with --log") from error
