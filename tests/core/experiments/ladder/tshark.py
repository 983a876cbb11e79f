"""Messages of a capture of one interface as tshark lists them, and as the ladder does, in one comparable form.

A message is (number of the frame that completes it, its text: method and target, status code, verb and argument, tag).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from experiments.harness.judge.frames import read_capture
from experiments.ladder.ladder import Arrow, ladder_of

Message = tuple[int, str]
SEPARATOR = "\x1f"
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed: apt install tshark")


def tshark_fields(capture: Path, display_filter: str, fields: Sequence[str]) -> Iterator[dict[str, list[str]]]:
    """Yield the values of these fields for each frame that the filter selects, by field."""
    options = [option for field in fields for option in ("-e", field)]
    command = ["tshark", "-n", "-r", str(capture), "-Y", display_filter, "-T", "fields", "-E", "separator=/t"]
    command += ["-E", f"aggregator={SEPARATOR}", *options]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    for line in output.splitlines():
        yield {
            field: [one for one in value.split(SEPARATOR) if one]
            for field, value in zip(fields, line.split("\t"), strict=True)
        }


def tshark_http1(capture: Path) -> list[Message]:
    fields = ["frame.number", "http.request.method", "http.request.uri", "http.response.code"]
    found: list[Message] = []
    for row in tshark_fields(capture, "http", fields):
        number = int(row["frame.number"][0])
        for method, target in zip(row["http.request.method"], row["http.request.uri"], strict=True):
            found.append((number, f"{method} {target}"))
        found += [(number, code) for code in row["http.response.code"]]
    return found


def tshark_http2(capture: Path) -> list[Message]:
    fields = ["frame.number", "http2.headers.method", "http2.headers.path", "http2.headers.status"]
    found: list[Message] = []
    for row in tshark_fields(capture, "http2.headers.method or http2.headers.status", fields):
        number = int(row["frame.number"][0])
        for method, target in zip(row["http2.headers.method"], row["http2.headers.path"], strict=True):
            found.append((number, f"{method} {target}"))
        found += [(number, code) for code in row["http2.headers.status"]]
    return found


def tshark_dns(capture: Path) -> list[Message]:
    fields = ["frame.number", "dns.flags.response", "dns.qry.name"]
    found: list[Message] = []
    for row in tshark_fields(capture, "dns", fields):
        for response, name in zip(row["dns.flags.response"], row["dns.qry.name"], strict=True):
            kind = "response" if response == "1" else "query"
            found.append((int(row["frame.number"][0]), f"{kind} {name.lower().removesuffix('.').replace('<Root>', '')}."))
    return found


def _commands(capture: Path, display_filter: str, command: str, argument: str, reply: str) -> list[Message]:
    found: list[Message] = []
    for row in tshark_fields(capture, display_filter, ["frame.number", command, argument, reply]):
        number = int(row["frame.number"][0])
        arguments = row[argument] + [""] * (len(row[command]) - len(row[argument]))
        found += [(number, f"{verb} {rest}".strip()) for verb, rest in zip(row[command], arguments, strict=True)]
        found += [(number, code) for code in row[reply]]
    return found


def tshark_smtp(capture: Path) -> list[Message]:
    return _commands(capture, "smtp", "smtp.req.command", "smtp.req.parameter", "smtp.response.code")


def tshark_ftp(capture: Path) -> list[Message]:
    return _commands(capture, "ftp", "ftp.request.command", "ftp.request.arg", "ftp.response.code")


def tshark_pop3(capture: Path) -> list[Message]:
    return _commands(capture, "pop", "pop.request.command", "pop.request.parameter", "pop.response.indicator")


def tshark_imap(capture: Path) -> list[Message]:
    return _commands(capture, "imap", "imap.request_tag", "imap.request.command", "imap.response_tag")


def ladder_messages(capture: Path, protocol: str, text: Callable[[Arrow], str | None]) -> list[Message]:
    """Return the ladder's messages of one protocol by their last frame; `text` gives their comparable texts."""
    ladder = ladder_of(read_capture(capture))
    found = [(max(arrow.frames), text(arrow)) for arrow in ladder.arrows if arrow.protocol == protocol]
    return [(number, words) for number, words in found if words is not None]


if __name__ == "__main__":
    import sys

    kind, path = sys.argv[1], Path(sys.argv[2])
    theirs = globals()[f"tshark_{kind}"](path)
    ours = [(max(a.frames), a.label) for a in ladder_of(read_capture(path)).arrows if a.protocol == kind.rstrip("12") or a.protocol==kind]
    print(len(theirs), len(ours))
    for t, o in zip(theirs, ours):
        print("==" if t[0] == o[0] else "!!", t, o)
