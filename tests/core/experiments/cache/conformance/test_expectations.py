"""What is expected of a step is judged by what was seen of it, and a failure names its frames."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab7.experiments.cache.conformance import expectations as expect
from lab7.experiments.cache.conformance.expectations import NotUsed, WrongContent, judge, may
from lab7.experiments.cache.conformance.trace import Answer, CheckSeen, Expectation, RequestSeen, StepSeen
from lab7.experiments.harness.judge.verdict import Contradiction

SECOND = 1_000_000_000
CONTENTS = (b"first\n", b"second\n")


def answer(content: bytes = b"first\n", frame: int = 4, at_s: float = 0.0, **more: object) -> Answer:
    time_ns = round(at_s * SECOND)
    return replace(Answer(200, (), content, True, frame, time_ns, time_ns), **more)  # type: ignore[arg-type]


def asked(got: Answer | None, frame: int = 1, at_s: float = 0.0, *fields: tuple[bytes, bytes]) -> RequestSeen:
    return RequestSeen(b"GET", b"/check", fields, frame, round(at_s * SECOND), got, False)


def second_step(got: Answer | None, *origin: RequestSeen) -> CheckSeen:
    """Two steps, the first of which brought "first"; the second one begins at 10 s."""
    first = StepSeen((asked(answer()),), (asked(answer(), 2),))
    return CheckSeen((first, StepSeen((asked(got, 11, 10.0),), origin)), CONTENTS)


REUSED = second_step(answer(frame=12, at_s=10.1))
FETCHED = second_step(answer(b"second\n", 14, 10.2), asked(answer(b"second\n", 13), 12, 10.1))
BACKGROUND = second_step(answer(frame=12, at_s=10.1), asked(answer(b"second\n", 14), 13, 10.2))


def fails(expectation: Expectation, seen: CheckSeen, kind: type[Contradiction] = Contradiction) -> Contradiction:
    with pytest.raises(Contradiction) as found:
        expectation(seen, 2)
    assert type(found.value) is kind
    assert found.value.evidence.endswith(".")
    return found.value


def test_what_is_made_of_the_store_is_told_from_what_the_origin_was_asked_for() -> None:
    expect.from_store(1)(REUSED, 2)
    expect.from_store(1)(BACKGROUND, 2)
    assert fails(expect.from_store(1), FETCHED).frames == (12,)
    expect.from_origin(FETCHED, 2)
    assert fails(expect.from_origin, REUSED).frames == (12,)
    assert fails(expect.from_origin, BACKGROUND).frames == (12,)


def test_what_is_reused_has_the_status_that_was_stored() -> None:
    for status in (204, 304, 404, 502):
        fails(may(expect.from_store(1)), second_step(answer(frame=12, at_s=10.1, status=status)), WrongContent)
    conditional = asked(answer(b"", 12, 10.1, status=304), 11, 10.0, (b"if-none-match", b'"1"'))
    first = second_step(None).steps[0]
    expect.from_store(1)(CheckSeen((first, StepSeen((conditional,), ())), CONTENTS), 2)


def test_what_the_client_gets_is_what_the_origin_says() -> None:
    expect.of_origin(FETCHED, 2)
    fails(expect.of_origin, REUSED)
    fetching = asked(answer(b"second\n", 13), 12, 10.1)
    for wrong in (answer(b"first\n", 14, 10.2), answer(b"second\n", 14, 10.2, status=502), answer(b"", 14, 10.2)):
        fails(expect.of_origin, second_step(wrong, fetching))
    validating = asked(answer(b"", 13, status=304), 12, 10.1)
    expect.of_origin(second_step(answer(b"first\n", 14, 10.2), validating), 2)
    fails(expect.of_origin, second_step(answer(b"second\n", 14, 10.2), validating))


def test_a_question_behind_the_answer_is_in_the_background() -> None:
    expect.in_background(BACKGROUND, 2)
    fails(expect.in_background, REUSED)
    fails(expect.in_background, FETCHED)


def test_not_doing_what_is_allowed_is_no_failure_but_wrong_content_is_one() -> None:
    fails(may(expect.from_store(1)), FETCHED, NotUsed)
    wrong = second_step(answer(b"", 12, 10.1))
    fails(may(expect.from_store(1)), wrong, WrongContent)
    assert judge(wrong, [(), (may(expect.from_store(1)),)])[0] == "fail"
    assert judge(FETCHED, [(), (may(expect.from_store(1)),)])[0] == "unused"
    assert judge(REUSED, [(), (may(expect.from_store(1)),)])[0] == "pass"


def test_nothing_follows_behind_what_is_not_used() -> None:
    word, _, frames = judge(FETCHED, [(), (may(expect.from_store(1)), expect.status(304))])
    assert (word, frames) == ("unused", (12,))


def test_a_pass_names_every_frame_and_what_happened() -> None:
    word, evidence, frames = judge(FETCHED, [(), (expect.from_origin,)])
    assert (word, frames) == ("pass", (1, 2, 4, 11, 12, 13, 14))
    assert (
        evidence
        == "1: GET was forwarded to the origin, 200 (frame 4). 2: GET was forwarded to the origin, 200 (frame 14)."
    )


def test_a_request_that_no_connection_carried_fails() -> None:
    seen = CheckSeen((StepSeen((), ()),), CONTENTS)
    assert judge(seen, [()]) == (
        "fail",
        "The request of step 1 was not sent: the cache did not accept a connection.",
        (),
    )


def test_no_answer_fails_whatever_was_expected_of_it() -> None:
    silent = second_step(None)
    for expectation in (expect.from_store(1), expect.from_origin, expect.status(200), expect.answer_has("Age")):
        assert "gets no response" in fails(expectation, silent).evidence


def test_content_is_that_of_a_step_and_whole() -> None:
    expect.content_of(2)(FETCHED, 2)
    expect.content_of(1, 2)(FETCHED, 2)
    fails(expect.content_of(1), FETCHED)
    fails(expect.content_of(2), second_step(answer(b"second\n", whole=False)))
    expect.not_content_of(1)(FETCHED, 2)
    fails(expect.not_content_of(1), REUSED)
    fails(expect.not_content_of(1), second_step(answer(b"fir")))
    # Of a cut response whoever reads it knows that it is not whole.
    expect.not_content_of(1)(second_step(answer(b"fir", whole=False)), 2)


def test_a_cut_response_has_to_show() -> None:
    for shows in (None, answer(b"fir", whole=False), answer(b"", status=502)):
        expect.incomplete(second_step(shows), 2)
    fails(expect.incomplete, second_step(answer(b"fir")))


def test_a_step_that_prepares_has_to_bring_its_reply() -> None:
    expect.relayed(404)(second_step(answer(b"second\n", status=404)), 2)
    for wrong in (answer(status=500), answer(b"second\n", whole=False), answer(), None):
        fails(expect.relayed(200), second_step(wrong))


@pytest.mark.parametrize(("said", "right"), [(b"9", True), (b"10", True), (b"11", True), (b"8", False), (b"12", False)])
def test_age_is_the_time_since_the_answer_of_the_step_that_brought_it(said: bytes, right: bool) -> None:
    seen = second_step(answer(at_s=10.1, fields=((b"age", said),)))
    if right:
        expect.age_since(1)(seen, 2)
    else:
        fails(expect.age_since(1), seen)
    late = second_step(answer(at_s=10.1, fields=((b"age", b"40"),)))
    expect.age_since(1, before_s=30)(late, 2)
    fails(expect.age_since(1), late)


@pytest.mark.parametrize("fields", [(), ((b"age", b"x"),), ((b"age", b"-1"),), ((b"age", b"10"), (b"age", b"10"))])
def test_age_is_one_number(fields: tuple[tuple[bytes, bytes], ...]) -> None:
    assert "not a number" in fails(expect.age_since(1), second_step(answer(at_s=10.1, fields=fields))).evidence


def test_fields_are_looked_for_in_every_line_of_their_name() -> None:
    seen = second_step(answer(fields=((b"via", b"1.1 a"), (b"via", b"1.1 b"))))
    expect.answer_has("Via", r"1\.1 b")(seen, 2)
    fails(expect.answer_has("Via", "c"), seen)
    fails(expect.answer_has("Age"), seen)
    expect.answer_lacks("Age")(seen, 2)
    expect.answer_lacks("Via", "c")(seen, 2)
    fails(expect.answer_lacks("Via"), seen)


def test_fields_of_requests_are_those_that_the_origin_got() -> None:
    asking = asked(answer(), 12, 10.05, (b"if-none-match", b'"1"'))
    seen = second_step(answer(frame=14, at_s=10.1), asking)
    expect.origin_has("If-None-Match", '^"1"$')(seen, 2)
    fails(expect.origin_has("If-None-Match", '"2"'), seen)
    fails(expect.origin_lacks("If-None-Match"), seen)
    expect.origin_lacks("Range")(seen, 2)
    # Where nothing was asked, nothing is shown.
    fails(expect.origin_has("If-None-Match"), REUSED)
    fails(expect.origin_lacks("Range"), REUSED)


def test_several_requests_at_once_are_one_for_the_origin_and_all_are_answered() -> None:
    whole, other = asked(answer(b"first\n")), asked(answer(b"fir"))
    one, two = (asked(answer(), 2),), (asked(answer(), 2), asked(answer(), 3))
    expect.asked_once(CheckSeen((StepSeen((whole, whole), one),), CONTENTS), 1)
    for wrong in (StepSeen((whole, whole), two), StepSeen((whole, other), one), StepSeen((whole, asked(None)), one)):
        with pytest.raises(Contradiction):
            expect.asked_once(CheckSeen((wrong,), CONTENTS), 1)


LENGTH, OTHER_LENGTH, CHUNKED = (b"content-length", b"5"), (b"content-length", b"6"), (b"transfer-encoding", b"chunked")


@pytest.mark.parametrize(
    ("fields", "once"),
    [
        ((), True),
        ((LENGTH,), True),
        ((CHUNKED,), True),
        ((LENGTH, LENGTH), True),
        ((LENGTH, CHUNKED), False),
        ((LENGTH, OTHER_LENGTH), False),
        (((b"content-length", b"5, 6"),), False),
    ],
)
def test_a_message_is_framed_in_one_way(fields: tuple[tuple[bytes, bytes], ...], once: bool) -> None:
    asking = second_step(answer(), asked(answer(), 12, 10.1, *fields))
    answering = second_step(answer(fields=fields))
    for expectation, seen in ((expect.framed_once, asking), (expect.answer_framed_once, answering)):
        if once:
            expectation(seen, 2)
        else:
            fails(expectation, seen)


def test_what_must_not_reach_the_origin() -> None:
    expect.not_forwarded(REUSED, 2)
    fails(expect.not_forwarded, FETCHED)
    expect.origin_not_asked_for("/smuggled")(FETCHED, 2)
    smuggled = replace(asked(None, 15, 10.3), path=b"/check/smuggled")
    assert fails(expect.origin_not_asked_for("/smuggled"), second_step(answer(), smuggled)).frames == (15,)


def test_an_error_of_the_cache_s_own_is_let_pass_where_it_may_be() -> None:
    expect.unless_error(expect.content(b"x"))(second_step(answer(status=502)), 2)
    fails(expect.unless_error(expect.content(b"x")), second_step(answer()))
