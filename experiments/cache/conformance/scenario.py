"""Scenarios of cache conformance checks: each step has a client request, the origin's reply, and expectations.

    Check("max-age-reused", "9111 4.2.1", "allowed", "A response is reused while its max-age lasts.", (
        Step(reply=Reply(fields=(("Cache-Control", "max-age=60"),))),      # the origin's reply; the client gets it
        Step(expect=(may(from_store(1)),)),                                # the stored response of step 1 is permitted
    ))

A check has a name, an RFC section, a level (whether RFC 9111 requires or only allows the behaviour), a rule and steps.
Every check has its own URLs. Every request has its step number in the field Lab-Step, and the origin sends the reply of
that step. The content of a reply contains the check's name and the step number: a capture thereby shows which reply a
client got.
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
    """Scripted reply of the origin. In field values, {now} stands for the current date and {now-100} for 100 s earlier.

    - `body`: content; None: the check's name and the step number
    - `validates`: reply with 304 and these fields to any conditional request
    - `part`: positions of the first and last octet in the 206 response to a range request
    - `cut`: number of content octets after which the origin closes the connection
    - `drop`: close the connection without a response
    - `octets`: the whole response as literal octets, instead of the other attributes; the origin then closes
    - `delay_s`: delay of the response
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
    """One step of a check: a client request, the origin's reply to it, and expectations.

    The request is sent `wait_s` seconds after the response in the previous step, in `copies` simultaneous copies.
    `path` is appended to the check's own path. `octets` is the whole request as literal octets, instead of the other
    attributes; {target} and {host} in it are replaced by the request-target and the host.
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
    """Conformance check: a name, the RFC section, the rule that is checked, and an ordered list of steps.

    `level` is `required` or `allowed`: whether RFC 9111 requires the behaviour or only permits it.
    """

    name: str
    section: str
    level: Level
    says: str
    steps: tuple[Step, ...]

    def content(self, number: int) -> bytes:
        """Return the content of the scripted reply in a step; by default it is the check's name and the step number."""
        body = self.steps[number - 1].reply.body
        return (f"{self.name} {number}\n" if body is None else body).encode("latin-1")

    def expected(self) -> list[tuple[Expectation, ...]]:
        """Return the expectations on each step; the default is that the client gets the origin's reply."""
        return [step.expect or (relayed(step.reply.status),) for step in self.steps]

    def request(self, number: int, forward: bool) -> bytes:
        """Encode the client request of a step. If `forward`, its target has absolute-form, as a forward proxy needs."""
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
        """Return the client requests of this check as JSON data, for the scripted client (conformance.client)."""
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
        """Return the origin's replies of this check as JSON data, for the scripted origin (conformance.origin)."""
        return [
            {**vars(step.reply), "body": self.content(number).decode("latin-1")}
            for number, step in enumerate(self.steps, 1)
        ]
