"""Format check of a student's answer on the student's machine, where the true answer is unknown.

An answer sheet has a comment before each question with the expected format, as returned by `Answer.form`: `a number in
ms`, `frame numbers, for example 4, 7-9`, `a list in order, each an IP address`. From this comment the module derives
the type of the answer, and checks that the answer can be parsed as that type.
"""

from __future__ import annotations

import re

from lab7.experiments.assignments.answer_types import (
    UNITS,
    Address,
    Answer,
    AnswerError,
    Choice,
    Frames,
    Given,
    Listing,
    Number,
    Text,
)

# One answer of each type for every expected format; their values are dummies, which are never compared.
_SAMPLES: tuple[Answer, ...] = (
    Number(0),
    Number(0, "share"),
    *(Number(0, kind, unit) for kind, units in UNITS.items() for unit in units if unit),
    Text("text"),
    Text("name", name=True),
    Address("::"),
    Frames((1,)),
    Frames((1, 2)),
)
_BY_FORM = {answer.form(): answer for answer in _SAMPLES}
_OPTIONS, _LETTER = "one of ", re.compile(r"(?:\A|, )[a-z]\) ")
_LISTING = re.compile(r"a list( in order)?, each (.+)\Z")


def answer_of_form(form: str) -> Answer | None:
    """Return an Answer with a dummy value, of the type that a format text (such as `a domain name`) describes.

    The text is the comment before a question of an answer sheet. Returns None for an unknown text.
    """
    listing = _LISTING.match(form)
    if listing is not None:
        each = answer_of_form(listing[2])
        return Listing((each,), bool(listing[1])) if isinstance(each, Text | Address | Number) else None
    if form.startswith(_OPTIONS):
        options = tuple(_LETTER.split(form.removeprefix(_OPTIONS))[1:])
        return Choice(options[0], options) if options else None
    return _BY_FORM.get(form)


def form_fault(answer: Answer, given: Given) -> str:
    """Return a text on why a student's answer cannot be parsed as the type of `answer`; empty if it can be parsed.

    The value of `answer` is a dummy (see answer_of_form).
    """
    try:
        if not isinstance(answer, Listing):
            answer.score(given)
            return ""
        parts = answer.parts(given)
        return next((fault for part in parts if (fault := form_fault(answer.value[0], part))), "")
    except AnswerError as error:
        return str(error)
