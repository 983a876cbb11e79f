"""Expectations of one step of a cache conformance check, on the messages of experiments.cache.conformance.trace.

An expectation raises Contradiction with the frames that show it. `may(...)` wraps an expectation that the RFC allows
and does not require: where it is not met, the cache has not used the permission, which is no error, and the rest of the
check cannot be decided.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from experiments.cache.conformance.trace import Answer, Asked, CheckSeen, Expectation, StepSeen
from experiments.harness.judge.verdict import Contradiction

# Age is a difference of two clock readings in whole seconds (RFC 9111 section 5.1); packets take some time as well.
AGE_SLACK_S = 1.2
# How much of a content evidence shows.
TOLD_OCTETS = 40
Word = Literal["pass", "fail", "unused"]


class NotUsed(Contradiction):
    """The cache does not do what it may do."""


class WrongContent(Contradiction):
    """What is reused is not what was stored: never a matter of what a cache may do."""


def judge(seen: CheckSeen, expected: Iterable[tuple[Expectation, ...]]) -> tuple[Word, str, tuple[int, ...]]:
    """Judge a check by what is expected of each of its steps; returns the verdict, its evidence and frames."""
    try:
        for number, expectations in enumerate(expected, 1):
            if not seen.steps[number - 1].client:
                raise Contradiction(f"The request of step {number} was not sent: the cache took no connection.")
            for expectation in expectations:
                expectation(seen, number)
    except NotUsed as found:
        if (error := _own_error(seen)) is not None:
            return "fail", error.evidence, error.frames
        return "unused", found.evidence, found.frames
    except Contradiction as found:
        return "fail", found.evidence, found.frames
    return "pass", " ".join(_told(number, step) for number, step in enumerate(seen.steps, 1)), _frames(seen)


def _own_error(seen: CheckSeen) -> Contradiction | None:
    """An error that no origin said, in the place of a response: not using a right is no reason for one."""
    for number, step in enumerate(seen.steps, 1):
        for asked in step.client:
            answer, directives = asked.answer, b", ".join(asked.values("cache-control"))
            # RFC 9111 section 5.2.1.7: only-if-cached wants 504 where nothing is stored.
            if answer is None or answer.status < 400 or step.origin or b"only-if-cached" in directives:
                continue
            if answer.status not in {one.answer.status for each in seen.steps for one in each.origin if one.answer}:
                what = f"Step {number} gets {answer.status} in frame {answer.frame}, and the origin is not asked."
                return Contradiction(what, answer.frame)
    return None


def _told(number: int, step: StepSeen) -> str:
    asked, answer = step.client[0], step.client[0].answer
    told = f"{number}: {_text(asked.method)} {'asked the origin' if step.origin else 'did not ask the origin'}"
    return f"{told}, {answer.status} (frame {answer.frame})." if answer else f"{told}, no response."


def _frames(seen: CheckSeen) -> tuple[int, ...]:
    every = [asked for step in seen.steps for asked in (*step.client, *step.origin)]
    return tuple(sorted({frame for one in every for frame in (one.frame, one.answer.frame if one.answer else 0)} - {0}))


def may(expectation: Expectation) -> Expectation:
    """The same expectation as something that the RFC allows and does not require."""

    def check(seen: CheckSeen, number: int) -> None:
        try:
            expectation(seen, number)
        except WrongContent:
            raise
        except Contradiction as found:
            raise NotUsed(found.evidence, *found.frames) from None

    return check


def answer_of(seen: CheckSeen, number: int) -> Answer:
    """The response that the client got in a step (to the first copy)."""
    asked = seen.steps[number - 1].client[0]
    if asked.answer is None:
        raise Contradiction(f"The request in frame {asked.frame} (step {number}) gets no response.", asked.frame)
    return asked.answer


def _before_answer(seen: CheckSeen, number: int) -> list[Asked]:
    """What the origin was asked before the client had its answer."""
    step = seen.steps[number - 1]
    answer = step.client[0].answer
    return [one for one in step.origin if answer is None or one.first_ns < answer.last_ns]


def relayed(code: int) -> Expectation:
    """The step, which only prepares others, brings the origin's reply with this status code, or a part of it."""

    def check(seen: CheckSeen, number: int) -> None:
        status(code, 206)(seen, number)
        answer = answer_of(seen, number)
        if not answer.whole:
            raise Contradiction(f"Step {number} gets a part of a response in frame {answer.frame}.", answer.frame)
        if answer.status == code and seen.steps[number - 1].client[0].method != b"HEAD":
            _wanted_content(answer, number, (seen.contents[number - 1],), Contradiction)

    return check


def from_store(source: int) -> Expectation:
    """The answer is made of the reply of an earlier step, and the origin is not asked for it.

    That is the stored response, 304 where the client asked under a condition, a part where it asked for one.
    """

    def check(seen: CheckSeen, number: int) -> None:
        answer = answer_of(seen, number)
        for asked in _before_answer(seen, number):
            raise Contradiction(f"Step {number} asks the origin, in frame {asked.frame}.", asked.frame)
        request, brought = seen.steps[number - 1].client[0], seen.steps[source - 1].client[0].answer
        wanted = {200 if brought is None or brought.status == 206 else brought.status, *_of_fields(request)}
        if answer.status not in wanted:
            raise WrongContent(
                f"Step {number} gets {answer.status} in frame {answer.frame}, which is not what step {source} brought.",
                answer.frame,
            )
        if answer.status not in (206, 304) and request.method != b"HEAD":
            _wanted_content(answer, number, (seen.contents[source - 1],), WrongContent)

    return check


def from_origin(seen: CheckSeen, number: int) -> None:
    """The origin is asked before the client is answered."""
    answer = answer_of(seen, number)
    if not _before_answer(seen, number):
        raise Contradiction(
            f"Step {number} is answered in frame {answer.frame} and the origin is not asked.", answer.frame
        )


def of_origin(seen: CheckSeen, number: int) -> None:
    """The origin is asked, and the client gets what it says, or, where it says 304, what an earlier step brought."""
    from_origin(seen, number)
    request, answer = seen.steps[number - 1].client[0], answer_of(seen, number)
    said = _before_answer(seen, number)[-1].answer
    if said is None:
        return
    wanted = {200, 304} if said.status == 304 else {said.status, *_of_fields(request)}
    if answer.status not in wanted:
        raise Contradiction(
            f"Step {number} gets {answer.status} in frame {answer.frame}, where the origin said {said.status} in frame "
            f"{said.frame}.",
            said.frame,
            answer.frame,
        )
    if answer.status in (206, 304) or request.method == b"HEAD":
        return
    contents = seen.contents[: number - 1] if said.status == 304 else (seen.contents[number - 1],)
    _wanted_content(answer, number, contents, Contradiction)


def _of_fields(request: Asked) -> set[int]:
    """What a request's fields may turn the status 200 into (RFC 9110 sections 13.2.2 and 14.2)."""
    found = set()
    if any(request.values(name) for name in ("if-none-match", "if-modified-since")):
        found |= {200, 304}
    if request.values("range"):
        found |= {200, 206}
    return found


def not_forwarded(seen: CheckSeen, number: int) -> None:
    """The origin is not asked at all, whatever the client gets."""
    for asked in seen.steps[number - 1].origin:
        raise Contradiction(f"Step {number} reaches the origin, in frame {asked.frame}.", asked.frame)


def in_background(seen: CheckSeen, number: int) -> None:
    """The origin is asked during the step, after the client has had its answer."""
    answer, step = answer_of(seen, number), seen.steps[number - 1]
    if not any(asked.first_ns >= answer.first_ns for asked in step.origin):
        raise Contradiction(f"Nothing is asked of the origin behind the answer in frame {answer.frame}.", answer.frame)


def asked_once(seen: CheckSeen, number: int) -> None:
    """Of several requests at once a single one reaches the origin, and all are answered."""
    step = seen.steps[number - 1]
    for asked in step.client:
        if asked.answer is None or asked.answer.content != seen.contents[number - 1]:
            raise Contradiction(f"The request in frame {asked.frame} gets no whole response.", asked.frame)
    if len(step.origin) != 1:
        frames = [asked.frame for asked in step.origin]
        raise Contradiction(f"{len(step.client)} requests at once reach the origin as {len(frames)}.", *frames)


def status(*codes: int) -> Expectation:
    """The client gets one of these status codes."""

    def check(seen: CheckSeen, number: int) -> None:
        answer = answer_of(seen, number)
        if answer.status not in codes:
            wanted = " or ".join(map(str, codes))
            raise Contradiction(
                f"Step {number} gets {answer.status} in frame {answer.frame}, not {wanted}.", answer.frame
            )

    return check


def content_of(*sources: int) -> Expectation:
    """The client gets the whole content of the reply of a step, or of one of these steps."""

    def check(seen: CheckSeen, number: int) -> None:
        content(*(seen.contents[source - 1] for source in sources))(seen, number)

    return check


def content(*choices: bytes) -> Expectation:
    """The client gets exactly these octets, or one of these choices, in a whole response."""

    def check(seen: CheckSeen, number: int) -> None:
        _wanted_content(answer_of(seen, number), number, choices, Contradiction)

    return check


def _wanted_content(answer: Answer, number: int, choices: tuple[bytes, ...], error: type[Contradiction]) -> None:
    if not answer.whole or answer.content not in choices:
        got = f"{'' if answer.whole else 'a part, '}{_text(answer.content[:TOLD_OCTETS])!r}"
        wanted = " or ".join(repr(_text(octets[:TOLD_OCTETS])) for octets in choices)
        raise error(f"Step {number} gets {got} in frame {answer.frame}, not {wanted}.", answer.frame)


def unless_error(expectation: Expectation) -> Expectation:
    """The same expectation, of any response but an error of the cache's own (5xx)."""

    def check(seen: CheckSeen, number: int) -> None:
        if answer_of(seen, number).status < 500:
            expectation(seen, number)

    return check


def not_content_of(source: int) -> Expectation:
    """The client does not get the content of the reply of a step, nor a beginning of it, as a whole 200 response."""

    def check(seen: CheckSeen, number: int) -> None:
        answer, kept = answer_of(seen, number), seen.contents[source - 1]
        if answer.status == 200 and answer.whole and answer.content and kept.startswith(answer.content):
            raise Contradiction(
                f"Step {number} gets what step {source} brought, in frame {answer.frame}.", answer.frame
            )

    return check


def incomplete(seen: CheckSeen, number: int) -> None:
    """The client can tell that the response is not whole: its framing does not end, or it is an error."""
    answer = seen.steps[number - 1].client[0].answer
    if answer is not None and answer.whole and answer.status < 500:
        raise Contradiction(f"The cut response in frame {answer.frame} passes for a whole one.", answer.frame)


def answer_has(name: str, pattern: str = "") -> Expectation:
    """The client's response has the field, its value (of all lines, joined) matching the pattern."""

    def check(seen: CheckSeen, number: int) -> None:
        answer = answer_of(seen, number)
        _has(answer.values(name), name, pattern, f"The response in frame {answer.frame}", answer.frame)

    return check


def answer_lacks(name: str, pattern: str = "") -> Expectation:
    """The client's response has no such field, or none whose value matches the pattern."""

    def check(seen: CheckSeen, number: int) -> None:
        answer = answer_of(seen, number)
        _lacks(answer.values(name), name, pattern, f"The response in frame {answer.frame}", answer.frame)

    return check


def origin_has(name: str, pattern: str = "") -> Expectation:
    """Every request that the origin gets in the step has the field, its value matching the pattern."""

    def check(seen: CheckSeen, number: int) -> None:
        from_origin(seen, number)
        for asked in seen.steps[number - 1].origin:
            _has(asked.values(name), name, pattern, f"The request in frame {asked.frame}", asked.frame)

    return check


def origin_lacks(name: str) -> Expectation:
    """No request that the origin gets in the step has the field."""

    def check(seen: CheckSeen, number: int) -> None:
        from_origin(seen, number)
        for asked in seen.steps[number - 1].origin:
            _lacks(asked.values(name), name, "", f"The request in frame {asked.frame}", asked.frame)

    return check


def origin_not_asked_for(suffix: str) -> Expectation:
    """No request for a path with this ending reaches the origin."""

    def check(seen: CheckSeen, number: int) -> None:
        for asked in seen.steps[number - 1].origin:
            if asked.path.endswith(suffix.encode()):
                raise Contradiction(f"{_text(asked.path)} reaches the origin, in frame {asked.frame}.", asked.frame)

    return check


def framed_once(seen: CheckSeen, number: int) -> None:
    """No request that the origin gets has both Transfer-Encoding and Content-Length, nor several lengths."""
    for asked in seen.steps[number - 1].origin:
        _framed_once(asked.values("transfer-encoding"), asked.values("content-length"), "request", asked.frame)


def answer_framed_once(seen: CheckSeen, number: int) -> None:
    """The same of the response that the client gets."""
    answer = answer_of(seen, number)
    _framed_once(answer.values("transfer-encoding"), answer.values("content-length"), "response", answer.frame)


def _framed_once(codings: list[bytes], lengths: list[bytes], noun: str, frame: int) -> None:
    different = {part.strip() for value in lengths for part in value.split(b",")}
    if (codings and lengths) or len(different) > 1:
        raise Contradiction(f"The {noun} in frame {frame} is framed in two ways.", frame)


def age_since(source: int, before_s: int = 0) -> Expectation:
    """The response says its age: `before_s` when step `source` brought it, and the time since then."""

    def check(seen: CheckSeen, number: int) -> None:
        answer, brought = answer_of(seen, number), seen.steps[source - 1].client[0].answer
        values = answer.values("age")
        if len(values) != 1 or not re.fullmatch(rb"[0-9]+", values[0]):
            raise Contradiction(f"The response in frame {answer.frame} has Age {values}, not a number.", answer.frame)
        if brought is None:
            raise Contradiction(f"Step {source} brought nothing.", answer.frame)
        age_s = before_s + (answer.first_ns - brought.first_ns) / 1e9
        if abs(int(values[0]) - age_s) > AGE_SLACK_S:
            said = f"says Age: {_text(values[0])} of what is {age_s:.1f} s old"
            raise Contradiction(f"The response in frame {answer.frame} {said}.", answer.frame)

    return check


def _has(values: list[bytes], name: str, pattern: str, where: str, frame: int) -> None:
    value = _text(b", ".join(values))
    if not values or not re.search(pattern, value):
        told = f"has {name}: {value}" if values else f"has no {name}"
        raise Contradiction(f"{where} {told}.", frame)


def _lacks(values: list[bytes], name: str, pattern: str, where: str, frame: int) -> None:
    value = _text(b", ".join(values))
    if values and re.search(pattern, value):
        raise Contradiction(f"{where} has {name}: {value}.", frame)


def _text(octets: bytes) -> str:
    return octets.decode("ascii", "backslashreplace")
