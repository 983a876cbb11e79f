"""Attacks of a program on its grading: code that the right server runs before it serves, and what it then earns."""

from __future__ import annotations

from dataclasses import dataclass

OVERWRITES = """
import os
for place, _, _ in os.walk("/"):
    for name in ("result.json", "results.json", "grade.json", "capture.pcapng", "program.json", "answer.json"):
        try:
            (Path(place) / name).write_text('{"ended": "forged"}')
        except OSError:
            pass
for place in ("/run/lab7-result", "/run/lab7-job", "/run/lab7", "/autograder/results"):
    try:
        Path(place).mkdir(parents=True)
        (Path(place) / "result.json").write_text("{}")
        (Path(place) / "results.json").write_text('{"score": 1000}')
    except OSError:
        pass
"""
# Any of these that the program can read ends it, so that it earns nothing.
READS = """
import os, sys
for place in ("/autograder/source", "/autograder/results", "/autograder/cache"):
    if os.path.exists(place):
        sys.exit(f"found {place}")
for place, _, names in os.walk("/"):
    for name in {"assignment.toml", "exercise.py", "questions.py", "result.json"} & set(names):
        sys.exit(f"found {place}/{name}")
"""
LEAVES = """
import os
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                time.sleep(1)
        os._exit(0)
"""
FORGES = """
import json, sys
forged = {"error": None, "claims": [{"id": "missing", "verdict": "shown", "evidence": "", "frames": []}]}
for stream in (sys.stdout, sys.stderr):
    print("READY", json.dumps(forged), "14 of 14", sep="\\n", file=stream, flush=True)
"""
FILLS = """
import os
for place in (".", "/tmp", "/dev/shm", "/var/tmp"):
    try:
        with open(f"{place}/large", "wb") as stream:
            while True:
                stream.write(bytes(1 << 20))
    except OSError:
        pass
"""
SIGNALS = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for process in (-1, 1, 2, os.getppid(), *range(3, 300)):
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
        try:
            if process != os.getpid():
                os.kill(process, number)
        except OSError:
            pass
"""
FORKS = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
LOOPS_AT_HEAD = """
right = respond
def respond(connection, root, lines):
    while lines[0].startswith("HEAD"):
        pass
    return right(connection, root, lines)
"""
FLOODS_AT_HEAD = """
right = respond
def respond(connection, root, lines):
    while lines[0].startswith("HEAD"):
        connection.sendall(bytes(65536))
    return right(connection, root, lines)
"""
DIES_AT_HEAD = """
import os, sys
right = respond
def respond(connection, root, lines):
    if lines[0].startswith("HEAD"):
        print("KeyError: 'HEAD'", file=sys.stderr, flush=True)
        os._exit(1)
    return right(connection, root, lines)
"""


@dataclass(frozen=True)
class Attack:
    """One attack: the code, the points that are earned in spite of it, and a part of the remark or message."""

    name: str
    code: str
    earned: float
    message: str = ""
    soft_404: bool = False

    def program(self, right: str) -> str:
        """Return the source of the right server with the attack before it serves."""
        start, end = right[: right.rindex("main()")], "main()\n"
        return (start.replace("status = 404", "status = 200") if self.soft_404 else start) + self.code + end


BEFORE_HEAD, BEFORE_MISSING, ALL = 5, 6, 14
ATTACKS = (
    Attack("overwrites", OVERWRITES, ALL),
    Attack("reads", READS, ALL),
    Attack("leaves", LEAVES, ALL),
    Attack("forges", FORGES, BEFORE_MISSING, "status 200 to GET of a target that does not exist", soft_404=True),
    Attack("fills", FILLS, ALL),
    Attack("signals", SIGNALS, ALL),
    Attack("forks", FORKS, 0, "without end"),
    Attack("loops", LOOPS_AT_HEAD, BEFORE_HEAD, "without end"),
    Attack("floods", FLOODS_AT_HEAD, BEFORE_HEAD, "octets that are no whole response"),
    Attack("dies", DIES_AT_HEAD, BEFORE_HEAD, "KeyError: 'HEAD'"),
    Attack("does-not-start", "raise SystemExit('no such module')\n", 0, "no such module"),
)
