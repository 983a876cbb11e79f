"""Expectations on a cache's behaviour in one step of a conformance check.

An expectation is a function that examines the captured messages of a step. If the expectation is not met, it raises
Contradiction with the frame numbers of the evidence. `may(...)` wraps an expectation of behaviour that RFC 9111 permits
without requiring it. A cache that does not use such a permission has not failed, but the rest of the check cannot be
decided.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from lab7.experiments.cache.conformance.trace import Answer, CheckSeen, Expectation, RequestSeen, StepSeen
from lab7.experiments.harness.judge.verdict import Contradiction

# Permitted deviation of Age in s: both readings are whole seconds (RFC 9111 section 5.1), and packets take time.
AGE_SLACK_S = 1.2
# Maximum number of octets of a response's content that an evidence text quotes.
TOLD_OCTETS = 40
Word = Literal["pass", "fail", "unused"]


class NotUsed(Contradiction):
    """Exception raised if a cache makes no use of a permission of RFC 9111; this is no failure of the cache."""


class WrongContent(Contradiction):
    """Exception raised if a reused response has wrong content; this is a failure even where reuse is optional."""


def judge(seen: CheckSeen, expected: Iterable[tuple[Expectation, ...]]) -> tuple[Word, str, tuple[int, ...]]:
    """Return the result of a check as (verdict, evidence text, frame numbers), from the expectations on all steps."""
    try:
        for number, expectations in enumerate(expected, 1):
            if not seen.steps[number - 1].client:
                raise Contradiction(
                    f"The request of step {number} was not sent: the cache did not accept a connection."
                )
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
    """Return a Contradiction for the first error (4xx, 5xx) that the cache sent without a request to the origin.

    Returns None if there is no such error.
    """
    for number, step in enumerate(seen.steps, 1):
        for asked in step.client:
            answer, directives = asked.answer, b", ".join(asked.values("cache-control"))
            # RFC 9111 section 5.2.1.7: 504 to only-if-cached is correct if the cache has no stored response.
            if answer is None or answer.status < 400 or step.origin or b"only-if-cached" in directives:
                continue
            if answer.status not in {one.answer.status for each in seen.steps for one in each.origin if one.answer}:
                what = f"Step {number} gets {answer.status} in frame {answer.frame} without a request to the origin."
                return Contradiction(what, answer.frame)
    return None


def _told(number: int, step: StepSeen) -> str:
    asked, answer = step.client[0], step.client[0].answer
    told = f"{number}: {_text(asked.method)} {'was forwarded to the origin' if step.origin else 'was not forwarded'}"
    return f"{told}, {answer.status} (frame {answer.frame})." if answer else f"{told}, without a response."


def _frames(seen: CheckSeen) -> tuple[int, ...]:
    every = [asked for step in seen.steps for asked in (*step.client, *step.origin)]
    return tuple(sorted({frame for one in every for frame in (one.frame, one.answer.frame if one.answer else 0)} - {0}))


def may(expectation: Expectation) -> Expectation:
    """Return an expectation that is optional: if not met, it raises NotUsed instead of Contradiction."""

    def check(seen: CheckSeen, number: int) -> None:
        try:
            expectation(seen, number)
        except WrongContent:
            raise
        except Contradiction as found:
            raise NotUsed(found.evidence, *found.frames) from None

    return check


def answer_of(seen: CheckSeen, number: int) -> Answer:
    """Return the client's response to the first request of a step; raise Contradiction if there is no response."""
    asked = seen.steps[number - 1].client[0]
    if asked.answer is None:
        raise Contradiction(f"The request in frame {asked.frame} (step {number}) gets no response.", asked.frame)
    return asked.answer


def _before_answer(seen: CheckSeen, number: int) -> list[RequestSeen]:
    """Return a step's requests to the origin that were sent before the client had received the whole response."""
    step = seen.steps[number - 1]
    answer = step.client[0].answer
    return [one for one in step.origin if answer is None or one.first_ns < answer.last_ns]


def relayed(code: int) -> Expectation:
    """Expect that the client gets the origin's reply with this status code, or a 206 with a part of the reply."""

    def check(seen: CheckSeen, number: int) -> None:
        status(code, 206)(seen, number)
        answer = answer_of(seen, number)
        if not answer.whole:
            raise Contradiction(f"Step {number} gets an incomplete response in frame {answer.frame}.", answer.frame)
        if answer.status == code and seen.steps[number - 1].client[0].method != b"HEAD":
            _wanted_content(answer, number, (seen.contents[number - 1],), Contradiction)

    return check


def from_store(source: int) -> Expectation:
    """Expect that the cache serves its stored response of step `source` without a request to the origin.

    Permitted are the whole stored response, 304 to a conditional request, and 206 to a range request.
    """

    def check(seen: CheckSeen, number: int) -> None:
        answer = answer_of(seen, number)
        for asked in _before_answer(seen, number):
            raise Contradiction(f"Step {number} causes a request to the origin, in frame {asked.frame}.", asked.frame)
        request, brought = seen.steps[number - 1].client[0], seen.steps[source - 1].client[0].answer
        wanted = {200 if brought is None or brought.status == 206 else brought.status, *_of_fields(request)}
        if answer.status not in wanted:
            raise WrongContent(
                f"Step {number} gets {answer.status} in frame {answer.frame}, not the response of step {source}.",
                answer.frame,
            )
        if answer.status not in (206, 304) and request.method != b"HEAD":
            _wanted_content(answer, number, (seen.contents[source - 1],), WrongContent)

    return check


def from_origin(seen: CheckSeen, number: int) -> None:
    """Expect at least one request to the origin before the client has received the whole response."""
    answer = answer_of(seen, number)
    if not _before_answer(seen, number):
        raise Contradiction(
            f"Step {number} gets a response in frame {answer.frame} without a request to the origin.", answer.frame
        )


def of_origin(seen: CheckSeen, number: int) -> None:
    """Expect a request to the origin, and the origin's reply to it at the client.

    If the origin replies with 304, expect a stored response or a 304 at the client.
    """
    from_origin(seen, number)
    request, answer = seen.steps[number - 1].client[0], answer_of(seen, number)
    said = _before_answer(seen, number)[-1].answer
    if said is None:
        return
    wanted = {200, 304} if said.status == 304 else {said.status, *_of_fields(request)}
    if answer.status not in wanted:
        raise Contradiction(
            f"Step {number} gets {answer.status} in frame {answer.frame}, but the origin sent {said.status} "
            f"in frame {said.frame}.",
            said.frame,
            answer.frame,
        )
    if answer.status in (206, 304) or request.method == b"HEAD":
        return
    contents = seen.contents[: number - 1] if said.status == 304 else (seen.contents[number - 1],)
    _wanted_content(answer, number, contents, Contradiction)


def _of_fields(request: RequestSeen) -> set[int]:
    """Return the additional status codes that a conditional or range request permits (RFC 9110 13.2.2 and 14.2)."""
    found = set()
    if any(request.values(name) for name in ("if-none-match", "if-modified-since")):
        found |= {200, 304}
    if request.values("range"):
        found |= {200, 206}
    return found


def not_forwarded(seen: CheckSeen, number: int) -> None:
    """Expect that the cache sends no request to the origin in a step, whatever the response to the client is."""
    for asked in seen.steps[number - 1].origin:
        raise Contradiction(f"Step {number} causes a request to the origin, in frame {asked.frame}.", asked.frame)


def in_background(seen: CheckSeen, number: int) -> None:
    """Expect background revalidation: a request to the origin after the response to the client has begun."""
    answer, step = answer_of(seen, number), seen.steps[number - 1]
    if not any(asked.first_ns >= answer.first_ns for asked in step.origin):
        raise Contradiction(f"No request to the origin follows the response in frame {answer.frame}.", answer.frame)


def asked_once(seen: CheckSeen, number: int) -> None:
    """Expect collapsed forwarding: one request to the origin, although several clients request the same object at once.

    All clients must get the response.
    """
    step = seen.steps[number - 1]
    for asked in step.client:
        if asked.answer is None or asked.answer.content != seen.contents[number - 1]:
            raise Contradiction(f"The request in frame {asked.frame} gets no complete response.", asked.frame)
    if len(step.origin) != 1:
        frames = [asked.frame for asked in step.origin]
        raise Contradiction(
            f"{len(step.client)} concurrent requests cause {len(frames)} requests to the origin.", *frames
        )


def status(*codes: int) -> Expectation:
    """Expect a response to the client with one of these status codes."""

    def check(seen: CheckSeen, number: int) -> None:
        answer = answer_of(seen, number)
        if answer.status not in codes:
            wanted = " or ".join(map(str, codes))
            raise Contradiction(
                f"Step {number} gets {answer.status} in frame {answer.frame}, not {wanted}.", answer.frame
            )

    return check


def content_of(*sources: int) -> Expectation:
    """Expect that the client gets the whole content of the origin's reply in one of the steps `sources`."""

    def check(seen: CheckSeen, number: int) -> None:
        content(*(seen.contents[source - 1] for source in sources))(seen, number)

    return check


def content(*choices: bytes) -> Expectation:
    """Expect that the client gets a complete response, and its content equals one of `choices`."""

    def check(seen: CheckSeen, number: int) -> None:
        _wanted_content(answer_of(seen, number), number, choices, Contradiction)

    return check


def _wanted_content(answer: Answer, number: int, choices: tuple[bytes, ...], error: type[Contradiction]) -> None:
    if not answer.whole or answer.content not in choices:
        got = f"{'' if answer.whole else 'a part, '}{_text(answer.content[:TOLD_OCTETS])!r}"
        wanted = " or ".join(repr(_text(octets[:TOLD_OCTETS])) for octets in choices)
        raise error(f"Step {number} gets {got} in frame {answer.frame}, not {wanted}.", answer.frame)


def unless_error(expectation: Expectation) -> Expectation:
    """Return an expectation that is also met by a 5xx response to the client."""

    def check(seen: CheckSeen, number: int) -> None:
        if answer_of(seen, number).status < 500:
            expectation(seen, number)

    return check


def not_content_of(source: int) -> Expectation:
    """Expect that the client gets no complete 200 response whose content is that of step `source` or a prefix of it."""

    def check(seen: CheckSeen, number: int) -> None:
        answer, kept = answer_of(seen, number), seen.contents[source - 1]
        if answer.status == 200 and answer.whole and answer.content and kept.startswith(answer.content):
            raise Contradiction(
                f"Step {number} gets the response of step {source}, in frame {answer.frame}.", answer.frame
            )

    return check


def incomplete(seen: CheckSeen, number: int) -> None:
    """Expect that the client can detect a truncated response, by its message framing or by a 5xx status."""
    answer = seen.steps[number - 1].client[0].answer
    if answer is not None and answer.whole and answer.status < 500:
        raise Contradiction(f"The truncated response in frame {answer.frame} is presented as complete.", answer.frame)


def answer_has(name: str, pattern: str = "") -> Expectation:
    """Expect the field `name` in the response to the client.

    Its value (field lines joined by commas) must match the regular expression `pattern`.
    """

    def check(seen: CheckSeen, number: int) -> None:
        answer = answer_of(seen, number)
        _has(answer.values(name), name, pattern, f"The response in frame {answer.frame}", answer.frame)

    return check


def answer_lacks(name: str, pattern: str = "") -> Expectation:
    """Expect no field `name` in the response to the client or, with `pattern`, none whose value matches `pattern`."""

    def check(seen: CheckSeen, number: int) -> None:
        answer = answer_of(seen, number)
        _lacks(answer.values(name), name, pattern, f"The response in frame {answer.frame}", answer.frame)

    return check


def origin_has(name: str, pattern: str = "") -> Expectation:
    """Expect a request to the origin in the step; each such request must have the field `name`.

    The field's value must match the regular expression `pattern`.
    """

    def check(seen: CheckSeen, number: int) -> None:
        from_origin(seen, number)
        for asked in seen.steps[number - 1].origin:
            _has(asked.values(name), name, pattern, f"The request in frame {asked.frame}", asked.frame)

    return check


def origin_lacks(name: str) -> Expectation:
    """Expect a request to the origin in the step, and no request there with the field `name`."""

    def check(seen: CheckSeen, number: int) -> None:
        from_origin(seen, number)
        for asked in seen.steps[number - 1].origin:
            _lacks(asked.values(name), name, "", f"The request in frame {asked.frame}", asked.frame)

    return check


def origin_not_asked_for(suffix: str) -> Expectation:
    """Expect that no request to the origin in the step has a path that ends in `suffix`."""

    def check(seen: CheckSeen, number: int) -> None:
        for asked in seen.steps[number - 1].origin:
            if asked.path.endswith(suffix.encode()):
                raise Contradiction(
                    f"The cache forwards {_text(asked.path)} to the origin, in frame {asked.frame}.", asked.frame
                )

    return check


def framed_once(seen: CheckSeen, number: int) -> None:
    """Expect unambiguous framing of requests at the origin.

    Not permitted are Transfer-Encoding together with Content-Length, and several different lengths.
    """
    for asked in seen.steps[number - 1].origin:
        _framed_once(asked.values("transfer-encoding"), asked.values("content-length"), "request", asked.frame)


def answer_framed_once(seen: CheckSeen, number: int) -> None:
    """Expect unambiguous framing of the response at the client.

    Not permitted are Transfer-Encoding together with Content-Length, and several different lengths.
    """
    answer = answer_of(seen, number)
    _framed_once(answer.values("transfer-encoding"), answer.values("content-length"), "response", answer.frame)


def _framed_once(codings: list[bytes], lengths: list[bytes], noun: str, frame: int) -> None:
    different = {part.strip() for value in lengths for part in value.split(b",")}
    if (codings and lengths) or len(different) > 1:
        raise Contradiction(f"The {noun} in frame {frame} has ambiguous framing.", frame)


def age_since(source: int, before_s: int = 0) -> Expectation:
    """Expect an Age field equal to `before_s` plus the time since the response in step `source`, within AGE_SLACK_S."""

    def check(seen: CheckSeen, number: int) -> None:
        answer, brought = answer_of(seen, number), seen.steps[source - 1].client[0].answer
        values = answer.values("age")
        if len(values) != 1 or not re.fullmatch(rb"[0-9]+", values[0]):
            raise Contradiction(f"The response in frame {answer.frame} has Age {values}, not a number.", answer.frame)
        if brought is None:
            raise Contradiction(f"Step {source} has no response.", answer.frame)
        age_s = before_s + (answer.first_ns - brought.first_ns) / 1e9
        if abs(int(values[0]) - age_s) > AGE_SLACK_S:
            said = f"has Age: {_text(values[0])}, but the response is {age_s:.1f} s old"
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
