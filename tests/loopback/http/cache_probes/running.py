"""Execution of probes: an origin that responds by the step of the probe, a raw client, and the evaluation."""

import re
import socket
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate

from tests.loopback.http.cache_probes import over_http2
from tests.loopback.http.cache_probes.probing import CACHE_STATUS, OWN, Line, Message, Outcome, Probe, Reply, Step
from tests.loopback.http.support import HOST, PATIENCE_S

AT_ONCE = 48
# What the cache asks for by itself is asked for and stored this long after the answer, at most.
SETTLE_S = 1.0
BODILESS = (204, 304)
_MARK = re.compile(rb"/probe(\d+)", re.IGNORECASE)
_TEMPLATE = re.compile(r"\{(now|rfc850|asctime)([+-]\d+)?\}")


def _date(form: str, offset_s: int) -> str:
    when = time.time() + offset_s
    if form == "rfc850":
        return time.strftime("%A, %d-%b-%y %H:%M:%S GMT", time.gmtime(when))
    if form == "asctime":
        return time.asctime(time.gmtime(when))
    return formatdate(when, usegmt=True)


@dataclass
class Run:
    """State of a running probe."""

    number: int
    probe: Probe
    authority: str
    step: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    seen: list[Message] = field(default_factory=list)

    def fill(self, text: str) -> str:
        """Substitute dates and names."""
        text = _TEMPLATE.sub(lambda found: _date(found[1], int(found[2] or 0)), text)
        return text.replace("{authority}", self.authority).replace("{name}", self.name)

    @property
    def name(self) -> str:
        """The path of the probe's resource."""
        return f"/probe{self.number}"

    def content(self, step: int) -> bytes:
        """Return the content of the origin's response to a step."""
        reply = self.probe.steps[step].reply
        return reply.content if reply and reply.content is not None else b"step %d" % step

    def answer(self, method: str) -> tuple[list[bytes | float], bool]:
        """Return the octets to send, and True where the origin closes the connection after them."""
        reply = self.probe.steps[self.step].reply or Reply(fields=("Cache-Control: no-store",))
        if reply.pieces:
            pieces = [
                self.fill(p.decode("latin-1")).encode("latin-1") if isinstance(p, bytes) else p for p in reply.pieces
            ]
            return pieces, reply.is_closed
        content = self.content(self.step)
        lines = [f"HTTP/1.1 {reply.status} Reason", *(self.fill(line) for line in reply.fields)]
        if reply.has_date and not any(line.lower().startswith("date:") for line in lines):
            lines.append(f"Date: {formatdate(usegmt=True)}")
        if reply.has_length and reply.status not in BODILESS:
            lines.append(f"Content-Length: {len(content)}")
        bodiless = method == "HEAD" or reply.status in BODILESS
        return ["\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if bodiless else content)], reply.is_closed


def parse_lines(head: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Split a head into its start line and its field lines."""
    start, *rest = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in rest if line)
    return start, tuple((name, value.strip(" \t")) for name, _, value in pairs)


def _unchunk(octets: bytes) -> tuple[bytes, bool, tuple[Line, ...]]:
    content = b""
    while True:
        size, mark, octets = octets.partition(b"\r\n")
        digits = size.split(b";")[0].strip()
        if not mark or not digits:
            return content, False, ()
        count = int(digits, 16)
        if count == 0:
            return content, octets.endswith(b"\r\n"), parse_lines(b"\r\n" + octets)[1]
        content, octets = content + octets[:count], octets[count + 2 :]


def parse_answer(octets: bytes, method: str) -> Message:
    """Parse interim responses and the final one from all octets received on a connection."""
    interim: list[Message] = []
    while True:
        head, mark, octets = octets.partition(b"\r\n\r\n")
        if not mark:
            return Message("", (), head, False, tuple(interim))
        start, lines = parse_lines(head)
        message = Message(start, lines)
        if not 100 <= message.status <= 199:
            break
        interim.append(message)
    if method == "HEAD" or message.status in BODILESS:
        return Message(start, lines, octets, not octets, tuple(interim))
    if message.values("Transfer-Encoding"):
        content, is_whole, trailers = _unchunk(octets)
        return Message(start, lines, content, is_whole, tuple(interim), trailers)
    lengths = message.values("Content-Length")
    return Message(start, lines, octets, not lengths or len(octets) == int(lengths[0]), tuple(interim))


class Laboratory:
    """The origin's responses, and the runs they belong to; the client's version is 1 or 2."""

    def __init__(self, probes: Iterable[Probe], version: int = 1) -> None:
        self._version = version
        self.runs = [Run(number, probe, "") for number, probe in enumerate(probes)]

    def answer(self, peer: socket.socket, request: bytes) -> bool:
        """Handle one request as the origin."""
        head, _, content = request.partition(b"\r\n\r\n")
        found = _MARK.search(head)
        start, lines = parse_lines(head)
        if found is None:
            peer.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return True
        run = self.runs[int(found[1])]
        pieces, is_closed = run.answer(start.split(" ")[0])
        run.seen.append(Message(start, lines, content))
        for piece in pieces:
            if isinstance(piece, bytes):
                peer.sendall(piece)
            else:
                time.sleep(piece)
        return not is_closed

    def _ask(self, run: Run, step: Step, port: int) -> Message:
        target = run.fill(step.target) or run.name
        host = (
            ()
            if any(line.lower().startswith("host:") for line in step.fields)
            else (f"Host: {step.host or run.authority}",)
        )
        length = (f"Content-Length: {len(step.sent)}",) if step.sent or step.method in ("POST", "PUT", "PATCH") else ()
        fields = (*host, *map(run.fill, step.fields), *length)
        if self._version == 2:
            return over_http2.ask(port, step, target, fields)
        lines = (f"{step.method} {target} HTTP/{step.version}", *fields)
        closing = () if any(line.lower().startswith("connection:") for line in step.fields) else ("Connection: close",)
        octets = "\r\n".join([*lines, *closing, "", ""]).encode("latin-1") + step.sent
        with socket.create_connection((HOST, port), timeout=PATIENCE_S) as peer:
            peer.sendall(run.fill(step.raw.decode("latin-1")).encode("latin-1") or octets)
            pieces = []
            with suppress(OSError):
                while piece := peer.recv(65_536):
                    pieces.append(piece)
        return parse_answer(b"".join(pieces), step.method)

    def _run(self, run: Run, port: int) -> list[str]:
        faults = []
        for number, step in enumerate(run.probe.steps):
            time.sleep(step.after_s)
            run.step, run.seen = number, []
            got = self._ask(run, step, port)
            if step.asked is None:
                time.sleep(SETTLE_S)
            run.outcomes.append(Outcome(got, run.seen, list(run.outcomes)))
            faults += [f"step {number}: {fault}; {got}" for fault in judge(run, step)]
        return faults

    def run_all(self, proxy_port: int) -> dict[str, list[str]]:
        """Run all probes concurrently; return the failures of each."""
        for run in self.runs:
            run.authority = f"{HOST}:{proxy_port}"
        with ThreadPoolExecutor(AT_ONCE) as pool:
            waiting = sorted(self.runs, key=lambda run: -sum(step.after_s for step in run.probe.steps))
            results = pool.map(lambda run: (run.probe.label, self._run(run, proxy_port)), waiting)
            return dict(results)


def judge(run: Run, step: Step) -> list[str]:
    """Return the unmet expectations of the last outcome."""
    outcome = run.outcomes[-1]
    faults = []
    if step.asked is not None and bool(outcome.seen) != step.asked:
        faults.append("the origin was not asked" if step.asked else "the origin was asked")
    if step.status is not None and outcome.got.status != step.status:
        faults.append(f"status {outcome.got.status} instead of {step.status}")
    number = run.step if step.content == OWN else step.content
    expected = run.content(number) if isinstance(number, int) else number
    if (
        expected is not None
        and step.method != "HEAD"
        and step.status not in BODILESS
        and outcome.got.content != expected
    ):
        faults.append(f"content {outcome.got.content!r} instead of {expected!r}")
    statuses = outcome.got.values("Cache-Status")
    if any(not CACHE_STATUS.fullmatch(value) for value in statuses):
        faults.append(f"Cache-Status {statuses} is none")
    faults += [fault for check in step.checks if (fault := check(outcome))]
    return faults
