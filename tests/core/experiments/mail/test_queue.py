"""The queue directory of smtp-replies is looked at by a process that is in the host's namespaces at that time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import cast

from lab7.experiments.mail.replies import Queue
from lab7.topologies.emulation.node import Host


class Restarted:
    """A host whose first process ends after the queue was made."""

    def __init__(self, workdir: Path) -> None:
        self.workdir = workdir
        self._first = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.namespace_pid = self._first.pid
        self.commands: list[tuple[str, ...]] = []

    def run(self, words: tuple[str, ...]) -> subprocess.CompletedProcess[bytes]:
        self.commands.append(words)
        return subprocess.CompletedProcess(words, 0, b"", b"")

    def restart(self) -> None:
        self._first.communicate(b"\n")
        self.namespace_pid = os.getpid()


def test_the_queue_is_seen_after_the_process_of_its_beginning_has_ended(tmp_path: Path) -> None:
    host = Restarted(tmp_path)
    queue = Queue(cast(Host, host))
    assert host.commands[0][:3] == ("mount", "-t", "tmpfs")
    assert queue.free_octets >= 0
    host.restart()
    assert queue.is_read_only is False
    queue.freeze()
    assert host.commands[1][3:5] == ("-o", "ro")
