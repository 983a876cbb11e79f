"""Scripted origin server of the cache conformance checks, which sends prepared responses, valid or malformed.

    python -m lab7.experiments.cache.conformance.origin SCRIPT PORT

SCRIPT is a JSON file, {check: [reply of its first step, ...]}; a reply has the fields of scenario.Reply. The first
segment of a request's path names the check, the field Lab-Step the step; a request that a cache generates without this
field belongs to the latest step requested. The server prints READY when it listens, and parses requests leniently: only
the packets are judged.
"""

from __future__ import annotations

import contextlib
import json
import re
import socketserver
import time
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any

STEP_FIELD = "Lab-Step"
DATE = re.compile(r"\{now([+-]\d+)?\}")
HEAD_LINES_MAX = 200
CONDITIONAL = ("if-none-match", "if-modified-since")
IDLE_S = 30.0


def response_octets(reply: Mapping[str, Any], method: str, fields: Mapping[str, str], now: float) -> bytes:
    """Encode the scripted reply to a request; `fields` are by lower-case name, `now` is in seconds since 1970."""
    if reply["octets"] is not None:
        return _dated(reply["octets"], now).encode("latin-1")
    body = reply["body"].encode("latin-1")
    unchanged = reply["validates"] and any(name in fields for name in CONDITIONAL)
    status = 304 if unchanged else reply["status"]
    extra = []
    if reply["part"] and "range" in fields and not unchanged:
        first, last = reply["part"]
        # RFC 9110 section 14.4: Content-Range has the positions of the first and last octet, and the complete length.
        status, extra = 206, [f"Content-Range: bytes {first}-{last}/{len(body)}"]
        body = body[first : last + 1]
    lines = [f"HTTP/1.1 {status} Scripted", *extra]
    named = {name.lower() for name, _ in reply["fields"]}
    if "date" not in named:
        lines.append(f"Date: {formatdate(now, usegmt=True)}")
    lines += [f"{name}: {_dated(value, now)}" for name, value in reply["fields"]]
    if not unchanged and status != 204 and not named & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    without_body = unchanged or status == 204 or method == "HEAD"
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if without_body else body[: reply["cut"]])


def _dated(text: str, now: float) -> str:
    return DATE.sub(lambda found: formatdate(now + int(found[1] or 0), usegmt=True), text)


class _Handler(socketserver.StreamRequestHandler):
    """Handler of one connection to the scripted origin, which may carry several requests."""

    timeout = IDLE_S
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while self._answer():
                pass

    def _answer(self) -> bool:
        """Respond to one request; return True if the connection persists."""
        words = self.rfile.readline().decode("latin-1").split()
        if len(words) != 3:
            return False
        fields = self._fields()
        self._skip_content(fields)
        reply = self.server.reply(words[1], fields)
        time.sleep(reply["delay_s"])
        if reply["drop"]:
            return False
        self.wfile.write(response_octets(reply, words[0], fields, time.time()))
        persists = words[2] == "HTTP/1.1" and fields.get("connection", "").lower() != "close"
        return persists and reply["octets"] is None and reply["cut"] is None

    def _fields(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        for _ in range(HEAD_LINES_MAX):
            line = self.rfile.readline().decode("latin-1").strip("\r\n")
            if not line:
                return fields
            name, _colon, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        raise ValueError("a head without an end")

    def _skip_content(self, fields: Mapping[str, str]) -> None:
        if "transfer-encoding" not in fields:
            self.rfile.read(int(fields.get("content-length", "0")))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            self.rfile.read(size + 2)
        self.rfile.readline()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, script: Mapping[str, list[dict[str, Any]]]) -> None:
        super().__init__(("0.0.0.0", port), _Handler)
        self._script = script
        self._latest: dict[str, int] = {}

    def reply(self, target: str, fields: Mapping[str, str]) -> dict[str, Any]:
        """Return the scripted reply to a request, by the check in the path and the step in the field Lab-Step."""
        path = re.sub(r"^https?://[^/]*", "", target)
        check = re.split(r"[/?]", path.removeprefix("/"))[0]
        replies = self._script[check]
        told = fields.get(STEP_FIELD.lower(), "")
        number = int(told) if told.isdigit() else self._latest.get(check, 1)
        self._latest[check] = max(number, self._latest.get(check, 1))
        return replies[min(number, len(replies)) - 1]


def main(argv: list[str]) -> int:
    """Serve the scripted replies on a port until the process is stopped."""
    script, port = argv
    with _Server(int(port), json.loads(Path(script).read_text(encoding="utf-8"))) as server:
        print("READY", flush=True)
        server.serve_forever()
    return 0
