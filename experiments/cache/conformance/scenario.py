"""Scenario of a cache conformance check: in each step a client request, the origin's reply, and expectations.

    Check("max-age-reused", "9111 4.2.1", "allowed", "A response is reused while its max-age lasts.", (
        Step(reply=Reply(fields=(("Cache-Control", "max-age=60"),))),
        Step(expect=(may(from_store(1)),)),
    ))

Every check has URLs of its own, and every request has the number of its step in the field Lab-Step: the origin replies
with that step's reply. The content of a reply names check and step, so that packets show the reply in each response.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from lab7.experiments.cache.conformance.expectations import relayed
from lab7.experiments.cache.conformance.origin import STEP_FIELD
from lab7.experiments.cache.conformance.trace import Expectation

Level = Literal["required", "allowed"]
NAME = "www.example.com"
# Pause in s between two steps: a cache may store a response only after sending the response to the client.
SETTLE_S = 0.25


@dataclass(frozen=True)
class Reply:
    """Scripted reply of the origin; in field values, {now} stands for the current date, {now-100} for 100 s before.

    body None: a content that names check and step. `validates`: 304 with these fields to any conditional request.
    `part`: the positions of the first and the last octet of a 206 to a request with Range. `cut`: number of octets of
    the content after which the connection ends; `drop`: the connection ends without a response. `octets`: the whole
    response, octet by octet, instead of the other values; the origin then closes. `delay_s`: delay of the response.
    """

    fields: tuple[tuple[str, str], ...] = ()
    status: int = 200
    body: str | None = None
    validates: bool = False
    part: tuple[int, int] | None = None
    cut: int | None = None
    drop: bool = False
    octets: str | None = None
    delay_s: float = 0.0


@dataclass(frozen=True)
class Step:
    """Client request of a check, sent `wait_s` seconds after the previous response, simultaneously in `copies` copies.

    `path` is appended to the check's own. `octets`: the whole request instead of the other values; {target} and {host}
    in it are replaced by the request-target and the host.
    """

    method: str = "GET"
    path: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    body: str = ""
    wait_s: float = SETTLE_S
    copies: int = 1
    octets: str | None = None
    reply: Reply = field(default_factory=Reply)
    expect: tuple[Expectation, ...] = ()


@dataclass(frozen=True)
class Check:
    """Conformance check: an ordered list of steps; `level` says if RFC 9111 requires or allows the behaviour."""

    name: str
    section: str
    level: Level
    says: str
    steps: tuple[Step, ...]

    def content(self, number: int) -> bytes:
        """Return the content of a step's scripted reply: a text with the check's name and the step number."""
        body = self.steps[number - 1].reply.body
        return (f"{self.name} {number}\n" if body is None else body).encode("latin-1")

    def expected(self) -> list[tuple[Expectation, ...]]:
        """Return the expectations of each step; a step without expectations must get the origin's reply."""
        return [step.expect or (relayed(step.reply.status),) for step in self.steps]

    def request(self, number: int, forward: bool) -> bytes:
        """Encode the request of a step; `forward`: with the target in absolute-form, for a forward proxy."""
        step = self.steps[number - 1]
        path = f"/{self.name}{step.path}"
        # RFC 9112 section 3.2.2: a request to a forward proxy has its target in absolute-form.
        target = f"http://{NAME}{path}" if forward else path
        if step.octets is not None:
            return step.octets.format(target=target, host=NAME).encode("latin-1")
        fields = [("Host", NAME), (STEP_FIELD, str(number)), *step.fields]
        if step.body:
            fields.append(("Content-Length", str(len(step.body))))
        lines = [f"{step.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
        return ("\r\n".join(lines) + "\r\n\r\n" + step.body).encode("latin-1")

    def script_of_client(self, forward: bool) -> dict[str, Any]:
        """Return the check's script for the program lab7.experiments.cache.conformance.client, as JSON data."""
        steps = [
            {
                "octets": self.request(number, forward).decode("latin-1"),
                "method": step.method,
                "wait_s": step.wait_s,
                "copies": step.copies,
            }
            for number, step in enumerate(self.steps, 1)
        ]
        return {"name": self.name, "steps": steps}

    def script_of_origin(self) -> list[dict[str, Any]]:
        """Return the check's script for the program lab7.experiments.cache.conformance.origin, as JSON data."""
        return [
            {**vars(step.reply), "body": self.content(number).decode("latin-1")}
            for number, step in enumerate(self.steps, 1)
        ]
