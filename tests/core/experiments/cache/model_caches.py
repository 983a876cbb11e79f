"""Caches without a network, right and wrong ones, that turn a check's scenario into what would be seen of it.

A model answers one request at a time: `answer(request)` returns the client's answer and what the origin was asked. The
origin is the scripted one's own code, so that a model and a real cache get the same octets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lab7.experiments.cache.conformance.expectations import Word, judge
from lab7.experiments.cache.conformance.origin import response_octets
from lab7.experiments.cache.conformance.scenario import Check
from lab7.experiments.cache.conformance.trace import Answer, CheckSeen, Fields, RequestSeen, StepSeen

SECOND = 1_000_000_000
MS = 1_000_000
HOP_BY_HOP = {b"connection", b"lab-private"}


@dataclass
class Scene:
    """One check under way: the time and the frames so far."""

    check: Check
    now_ns: int = 1_800_000_000 * SECOND
    frame: int = 0

    def tick(self) -> int:
        """The number of the next frame; a millisecond passes."""
        self.frame += 1
        self.now_ns += MS
        return self.frame


@dataclass
class Model:
    """A proxy that stores nothing, and forwards as it should."""

    scene: Scene
    asked: list[RequestSeen] = field(default_factory=list)
    stored: dict[bytes, tuple[RequestSeen, Answer]] = field(default_factory=dict)

    def answer(self, request: RequestSeen, number: int) -> Answer | None:
        """The client's answer to the request of a step; what the origin is asked goes into `asked`."""
        if self.refuses(request):
            return self.error(400)
        return self.relayed(self.origin(self.forwarded(request), number))

    def refuses(self, request: RequestSeen) -> bool:
        """Whether its framing or grammar earns 400."""
        lengths = set(request.values("content-length"))
        spaced = any(name.endswith(b" ") for name, _ in request.fields)
        return spaced or len(lengths) > 1 or bool(lengths and request.values("transfer-encoding"))

    def forwarded(self, request: RequestSeen) -> RequestSeen:
        """The request as the origin gets it."""
        kept = tuple(pair for pair in request.fields if pair[0] not in HOP_BY_HOP)
        return replace(request, fields=(*kept, (b"via", b"1.1 model")))

    def relayed(self, answer: Answer | None) -> Answer | None:
        """The origin's answer as the client gets it."""
        if answer is None or len(set(answer.values("content-length"))) > 1:
            return self.error(502)
        both = answer.values("content-length") and answer.values("transfer-encoding")
        dropped = HOP_BY_HOP | ({b"content-length"} if both else set())
        return self.at(replace(answer, fields=tuple(pair for pair in answer.fields if pair[0] not in dropped)))

    def origin(self, request: RequestSeen, number: int) -> Answer | None:
        """Ask the origin and note it."""
        reply = self.scene.check.script_of_origin()[number - 1]
        frame, first_ns = self.scene.tick(), self.scene.now_ns
        answer = None if reply["drop"] else self.parsed(reply, request)
        self.asked.append(replace(request, frame=frame, first_ns=first_ns, answer=answer))
        return answer

    def parsed(self, reply: dict[str, object], request: RequestSeen) -> Answer:
        """The origin's octets as an answer."""
        fields = {name.decode(): value.decode() for name, value in request.fields}
        octets = response_octets(reply, request.method.decode(), fields, self.scene.now_ns / SECOND)
        head, _, body = octets.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        pairs = tuple((one.partition(b":")[0].lower(), one.partition(b":")[2].strip()) for one in lines)
        if (b"transfer-encoding", b"chunked") in pairs:
            whole, body = body.endswith(b"0\r\n\r\n"), b"".join(re.findall(rb"(?m)^[0-9]+[^\r]*\r\n(.+)\r\n", body))
        else:
            lengths = [int(value) for name, value in pairs if name == b"content-length"]
            whole = request.method == b"HEAD" or not lengths or len(body) >= lengths[0]
        return self.at(Answer(int(line.split()[1]), pairs, body, whole, 0, 0, 0))

    def at(self, answer: Answer, fields: Fields | None = None) -> Answer:
        """The answer as sent now."""
        return replace(
            answer,
            frame=self.scene.tick(),
            first_ns=self.scene.now_ns,
            last_ns=self.scene.now_ns,
            fields=answer.fields if fields is None else fields,
        )

    def error(self, status: int) -> Answer:
        """An error of its own."""
        return self.at(Answer(status, (), b"", True, 0, 0, 0))


class Verbatim(Model):
    """Passes everything on as it came."""

    def refuses(self, request: RequestSeen) -> bool:  # noqa: ARG002
        return False

    def forwarded(self, request: RequestSeen) -> RequestSeen:
        return request

    def relayed(self, answer: Answer | None) -> Answer | None:
        return None if answer is None else self.at(answer)


class Greedy(Model):
    """Keeps the first answer to a path, whatever it says, and gives it to everybody for ever."""

    def answer(self, request: RequestSeen, number: int) -> Answer | None:
        path = request.path.partition(b"?")[0]
        if request.method in (b"GET", b"HEAD") and path in self.stored:
            return self.at(replace(self.stored[path][1], whole=True))
        answer = super().answer(request, number)
        if answer is not None and request.method in (b"GET", b"HEAD"):
            self.stored[path] = (request, answer)
        return answer


class Unmodified(Greedy):
    """Says 304 to any condition."""

    def answer(self, request: RequestSeen, number: int) -> Answer | None:
        answer = super().answer(request, number)
        conditional = request.values("if-none-match")
        return replace(answer, status=304, content=b"") if answer and conditional else answer


class Forgetful(Model):
    """Validates by entity tag, every time, and leaves what it has stored as it was."""

    def answer(self, request: RequestSeen, number: int) -> Answer | None:
        known = self.stored.get(request.path)
        if known is None:
            answer = super().answer(request, number)
            if answer is not None:
                self.stored[request.path] = (request, answer)
            return answer
        tags = tuple((b"if-none-match", tag) for tag in known[1].values("etag"))
        came = self.origin(self.forwarded(replace(request, fields=(*request.fields, *tags))), number)
        return self.at(known[1]) if came is not None and came.status == 304 else self.relayed(came)


class Cutting(Model):
    """Loses the last octet of everything."""

    def relayed(self, answer: Answer | None) -> Answer | None:
        relayed = super().relayed(answer)
        return None if relayed is None else replace(relayed, content=relayed.content[:-1])


class Garbling(Model):
    """Asks the origin as it should, and answers with octets of its own."""

    def relayed(self, answer: Answer | None) -> Answer | None:
        relayed = super().relayed(answer)
        return None if relayed is None else replace(relayed, content=b"x" * len(relayed.content))


class Refusing(Greedy):
    """Answers with an error, instead of from the store, whatever it has answered before."""

    status = 502

    def answer(self, request: RequestSeen, number: int) -> Answer | None:
        known = request.path.partition(b"?")[0] in self.stored
        answer = super().answer(request, number)
        return self.error(self.status) if known else answer


class Emptying(Refusing):
    """The same with a response that has no content and no error either."""

    status = 204


def play(check: Check, make: Callable[[Scene], Model]) -> CheckSeen:
    """What would be seen of a check if this model were the cache."""
    scene = Scene(check)
    model, steps = make(scene), []
    for number, step in enumerate(check.steps, 1):
        scene.now_ns += round(step.wait_s * SECOND)
        model.asked = []
        client = []
        for _ in range(step.copies):
            request = read_request(check, number, scene)
            answer = model.answer(request, number)
            client.append(replace(request, answer=answer))
        steps.append(StepSeen(tuple(client), tuple(model.asked)))
    return CheckSeen(tuple(steps), tuple(check.content(number) for number in range(1, len(check.steps) + 1)))


def read_request(check: Check, number: int, scene: Scene) -> RequestSeen:
    """The request of a step as a model gets it: names keep a space that stands before their colon."""
    head = check.request(number, forward=False).partition(b"\r\n\r\n")[0]
    line, *lines = head.split(b"\r\n")
    method, path, _ = line.split()
    fields = tuple((one.partition(b":")[0].lower(), one.partition(b":")[2].strip()) for one in lines)
    return RequestSeen(method, path, fields, scene.tick(), scene.now_ns, None, True)


def verdict(check: Check, make: Callable[[Scene], Model]) -> Word:
    """What the checks say of this model."""
    return judge(play(check, make), check.expected())[0]
