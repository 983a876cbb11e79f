"""Session of a student in an emulated network: start of the network, command line, and a capture for the hand-in.

The network has the parameters and files drawn for the student. The hand-in has the capture and a signed record. The
record contains a check that the capture dropped no packets. It has no checks of delays and rates, since times are not
graded: the network runs in real time, on the student's machine.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab7.experiments.assignments.handin.record import write_handin
from lab7.experiments.assignments.handin.task import Task
from lab7.experiments.assignments.recording import CAPTURE_NAME, interfaces_of, make_topology, request_of
from lab7.experiments.harness import clock
from lab7.experiments.harness.capture.capture import Capture
from lab7.experiments.harness.fidelity.certificate import capture_checks, certificate
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.emulation.watch import Stopped

Work = Callable[[Testbed], None]


def run_session(task: Task, folder: Path, links: str, work: Work, server_died: Callable[[str], None]) -> Path:
    """Start a student's network, let the function `work` use it, and write the hand-in; return the zip file's path.

    Must be called in the sandbox (separate namespaces, see lab7.topologies.emulation.sandbox). If a signal or Ctrl-C
    ends the work, the hand-in is still written, and Stopped or KeyboardInterrupt is raised after that. Raises
    EmulationError.
    """
    variant = task.variant
    request = request_of(variant.assignment, task.called, variant.values, variant.seed)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="lab7-files-", dir="/run") as place:
        # The services run as other users.
        Path(place).chmod(0o755)
        topo = make_topology(variant.assignment, request, Path(place) / "files")
        with Testbed(topo, seed=variant.seed, links=links, sandboxed=True, server_died=server_died) as bed:
            capture = Capture(folder / CAPTURE_NAME, interfaces_of(variant.assignment, bed))
            ended: BaseException | None = None
            try:
                with capture:
                    work(bed)
            except (KeyboardInterrupt, Stopped) as end:
                ended = end
            found = certificate(capture_checks(capture.statistics))
    made = write_handin(task, folder, clock.current(), found)
    if isinstance(ended, Stopped):
        raise ended.kept_in(str(made))
    if ended is not None:
        raise ended
    return made


def keep_earlier(folder: Path) -> Path | None:
    """Rename a folder of an earlier session to FOLDER-NUMBER, the next free name; return the new path.

    Returns None if the folder does not exist.
    """
    if not folder.exists():
        return None
    number = 1
    while (kept := folder.with_name(f"{folder.name}-{number}")).exists():
        number += 1
    shutil.move(folder, kept)
    return kept
