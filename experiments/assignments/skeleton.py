"""Template of a new assignment: a folder with one example question, which can be built unchanged."""

from __future__ import annotations

import re
from pathlib import Path

from lab7.experiments.assignments.definition import (
    NETWORK_KIND,
    PREDICT_KIND,
    QUESTIONS_NAME,
    SETTINGS_NAME,
    SHEET_KIND,
    TEMPLATE_NAME,
    AssignmentError,
)

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")
SETTINGS = """\
name = "{name}"
title = "{title}"
# A topology of `lab7 list`, or the path of a file with one; parameters as with --set.
topology = "web"
# Hosts at which the capture is taken, each at its first interface.
interfaces = ["client"]

[parameters]
bw = 10

[late]
per_day = 0.1
days = 5
"""
TEMPLATE = """\
A client has loaded an object from **http://www.example.com/** over a link with some delay. Open `trace.pcapng` in
Wireshark.

## q1
What is the round-trip time between client and server, from the SYN to the SYN-ACK?
"""
QUESTIONS = '''\
"""Questions of the assignment {name}: variant (a student's drawn parameters), traffic to capture, and answer key."""

from lab7.experiments.assignments.answer_types import Number
from lab7.experiments.assignments.definition import Key, question


def variant(draw):
    """Draw what differs between students; `parameters` go to the topology."""
    return {{"parameters": {{"delay": f"{{draw.number('delay', 5, 60)}}ms"}}}}


def record(lab):
    """Produce the traffic of the capture: commands in hosts, as one would type them. Send the nonce once."""
    lab.run("client", ["curl", "-s", "-H", f"X-Course: {{lab.variant['nonce']}}", "http://www.example.com/"])


@question(points=2, filter="tcp.flags.syn == 1", hint="Subtract the times of two frames.")
def q1(seen):
    """Return the key of q1 from the student's capture."""
    first = seen.connections[0]
    rtt_s = (first.from_server.syn.time_ns - first.syn.time_ns) / 1e9
    frames = (first.syn.frame, first.from_server.syn.frame)
    explanation = f"{{rtt_s * 1e3:.3f}} ms between the frames {{frames[0]}} and {{frames[1]}}."
    return Key(Number(rtt_s, "time", "ms", tolerance=0.02), frames, explanation)
'''


BANDS = """
# Distance of a prediction from the measured value, as a share of it, and the share of the points that it earns.
[bands]
default = [[0.05, 1.0], [0.2, 0.5]]
"""
PREDICTED = """\
A client fetches a page from **http://www.example.com/** over a link with a one-way delay of **{{ parameters.delay }}**.

## q1
How long does it take from the client's SYN to its SYN-ACK?
"""
NETWORK_TEMPLATE = """\
Your host is **client**. A line `client COMMAND` runs a command there.

## q1
Fetch **http://www.example.com/{{ page }}** with status 200.
"""
NETWORK = '''\
"""Variant, files and findings of the assignment {name}."""

from lab7.experiments.assignments.answer_types import Found
from lab7.experiments.assignments.definition import Key, question


def variant(draw):
    """Draw what differs between students; `parameters` go to the topology."""
    return {{"page": f"{{draw.word('page')}}.html", "parameters": {{"delay": f"{{draw.number('delay', 5, 60)}}ms"}}}}


def prepare(folder, variant):
    """Write the files of the servers. The nonce marks the student's capture: let it be fetched."""
    (folder / variant["page"]).write_text(f"<!doctype html>\\n<title>{{variant['nonce']}}</title>\\n")


def record(lab):
    """Do the tasks, as a student could."""
    lab.run("client", ["curl", "-s", f"http://www.example.com/{{lab.variant['page']}}"])


@question(points=2, filter="http.request", hint="Use curl.")
def q1(seen):
    """Find the page in the student's own capture."""
    for one in seen.http:
        path = one.request.start_line[1].decode(errors="replace")
        if path == f"/{{seen.variant['page']}}" and one.response and one.response.start_line[1] == b"200":
            return Key(Found(1.0), one.response.frames, f"Fetched in frame {{one.response.frames[0]}}.")
    return Key(Found(0.0), (), f"There is no GET of /{{seen.variant['page']}} with a 200.")
'''


def write_skeleton(parent: Path, name: str, kind: str = SHEET_KIND) -> Path:
    """Write the folder of a new assignment; return its path. Raises AssignmentError if it cannot be written."""
    if not _NAME.match(name):
        raise AssignmentError(f"the name {name!r} must be of a-z, 0-9 and hyphens, for example dns-caching")
    folder = parent / name
    values = {"name": name, "title": name.replace("-", " ").capitalize()}
    settings = SETTINGS.format(**values)
    if kind != SHEET_KIND:
        settings = f'kind = "{kind}"\n{settings}{BANDS if kind == PREDICT_KIND else ""}'
    template = {SHEET_KIND: TEMPLATE, PREDICT_KIND: PREDICTED, NETWORK_KIND: NETWORK_TEMPLATE}[kind]
    questions = (NETWORK if kind == NETWORK_KIND else QUESTIONS).format(**values)
    try:
        folder.mkdir(parents=True)
        (folder / SETTINGS_NAME).write_text(settings, encoding="utf-8")
        (folder / TEMPLATE_NAME).write_text(template, encoding="utf-8")
        (folder / QUESTIONS_NAME).write_text(questions, encoding="utf-8")
    except FileExistsError as error:
        raise AssignmentError(f"{folder} exists: give another name") from error
    except OSError as error:
        raise AssignmentError(f"{folder} cannot be made ({error.strerror})") from error
    return folder
