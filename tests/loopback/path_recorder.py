"""A service, run so that the modules of lab7 of which a function runs are recorded.

    with recorded("lab7.services.http.origin", "--root", folder, "--listen", HOST, "--port", "0") as origin:
        origin.start()
        ...                         # a request to origin.port, and its response
        origin.stop()               # {"services/http/origin.py", ...}, in the order of their first calls

`python -m tests.loopback.path_recorder MODULE FLAGS` is the process: the lines `start` and `stop` on its standard input
begin and end the recording (sys.setprofile, in all threads).
"""

from __future__ import annotations

import inspect
import json
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("services", "topologies", "experiments")
PATIENCE_S = 30.0
MARK = "RECORDED "


class Recorded:
    """A process whose calls are recorded."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        line = self._line()
        assert line.startswith("READY "), line
        self.port = int(line.split()[2].rpartition(":")[2])

    def start(self) -> None:
        """Begin to record."""
        self._tell("start")

    def stop(self) -> list[str]:
        """End the recording; return the files of which a function ran, in the order of their first calls."""
        return self._tell("stop")

    def _tell(self, word: str) -> list[str]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        while not (line := self._line()).startswith(MARK):
            assert line, "the service has ended"
        files: list[str] = json.loads(line.removeprefix(MARK))
        return files

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def recorded(module: str, *flags: str | os.PathLike[str]) -> Iterator[Recorded]:
    """Run a service whose calls are recorded."""
    command = [sys.executable, "-m", "tests.loopback.path_recorder", module, *(os.fspath(each) for each in flags)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    try:
        yield Recorded(process)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _file_of(frame: FrameType) -> str | None:
    """Return the path of a function's file in the repository; None for other functions, and for modules and classes."""
    if not frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        return None
    path = os.path.realpath(frame.f_code.co_filename)
    file = os.path.relpath(path, REPOSITORY)
    return file if file.partition("/")[0] in PACKAGES else None


def main() -> None:
    """Run a module as a program, and record while told so."""
    files: dict[str, None] = {}
    known: dict[object, str | None] = {}
    recording = False

    def profile(frame: FrameType, event: str, _: object) -> None:
        if not recording or event != "call":
            return
        if frame.f_code not in known:
            known[frame.f_code] = _file_of(frame)
        file = known[frame.f_code]
        if file is not None:
            files[file] = None

    def control() -> None:
        nonlocal recording
        for line in sys.stdin:
            recording = line.strip() == "start"
            print(MARK + json.dumps(list(files)), flush=True)

    # Threads that start later have the function, too; it does nothing before `start`.
    threading.Thread(target=control, daemon=True).start()
    threading.setprofile(profile)
    sys.setprofile(profile)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
