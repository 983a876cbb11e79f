"""Incomplete stored responses: completion, validation, removal, requests without Range (RFC 9111 section 3.3)."""

from tests.loopback.http.cache_probes.probing import (
    OWN,
    Outcome,
    Reply,
    Step,
    allowed,
    get,
    hit,
    lacks,
    miss,
    required,
    sees,
    status_in,
)

HOUR = "Cache-Control: max-age=3600"
PAST = ("Cache-Control: max-age=1", "Age: 5")
WHOLE = b"0123456789"


def _reply(*fields: str, status: int = 200, content: bytes | None = None) -> Reply:
    return Reply(status, fields, content)


def _ranged(first_place: int, last_place: int, *fields: str) -> Step:
    content = WHOLE[first_place : last_place + 1]
    span = f"{first_place}-{last_place}"
    lines = (*(fields or (HOUR, 'ETag: "a"')), f"Content-Range: bytes {span}/10")
    reply = Reply(206, lines, content)
    return Step(fields=(f"Range: bytes={span}",), asked=True, status=206, content=OWN, reply=reply)


def _is_whole_or_broken(outcome: Outcome) -> str | None:
    got = outcome.got
    return f"content {got.content!r}" if got.status == 200 and got.is_whole and got.content != WHOLE else None


PROBES = [
    allowed(
        "9111 3.3",
        "the rest of a stored first part is asked for",
        _ranged(0, 4),
        get(
            asked=True,
            content=WHOLE,
            reply=Reply(206, (HOUR, 'ETag: "a"', "Content-Range: bytes 5-9/10"), WHOLE[5:]),
            checks=(sees("Range", "bytes=5-"),),
        ),
        hit(of=WHOLE),
    ),
    required(
        "9111 3.3",
        "instead of the rest comes a new whole",
        _ranged(0, 4),
        get(asked=True, content=b"new", reply=_reply(HOUR, 'ETag: "b"', content=b"new")),
        hit(of=b"new"),
    ),
    required(
        "9111 3.3",
        "instead of the rest comes a 416",
        _ranged(0, 4),
        get(asked=True, status=None, reply=_reply(status=416), checks=(status_in(200, 416, 502),)),
    ),
    required(
        "9111 3.3",
        "instead of the rest comes another part",
        _ranged(0, 4),
        get(
            asked=True,
            status=None,
            reply=Reply(206, (HOUR, 'ETag: "a"', "Content-Range: bytes 6-9/10"), WHOLE[6:]),
            checks=(_is_whole_or_broken,),
        ),
    ),
    required(
        "9111 3.3",
        "If-Range with another tag and a part",
        _ranged(0, 4),
        miss("Range: bytes=0-2", 'If-Range: "z"', checks=(sees("If-Range", '"z"'),)),
    ),
    allowed(
        "9111 3.3",
        "If-Range with its tag and a part",
        _ranged(0, 4),
        hit("Range: bytes=0-2", 'If-Range: "a"', of=b"012", status=206),
    ),
    allowed(
        "9111 3.3",
        "its tag and a part",
        _ranged(0, 4),
        get("Range: bytes=0-2", 'If-None-Match: "a"', status=304, asked=False),
    ),
    required(
        "9111 3.3",
        "HEAD and a part",
        _ranged(0, 4),
        Step(method="HEAD", asked=None, status=200, checks=(lacks("Content-Range"),)),
    ),
    required(
        "9111 4.3.4",
        "a stale part is valid",
        _ranged(0, 4, *PAST, 'ETag: "a"'),
        get("Range: bytes=1-2", asked=True, status=206, content=b"12", reply=_reply(HOUR, 'ETag: "a"', status=304)),
    ),
    required(
        "9111 4.3.4",
        "a stale part is not valid",
        _ranged(0, 4, *PAST, 'ETag: "a"'),
        get("Range: bytes=1-2", asked=True, status=200, content=OWN, reply=_reply(HOUR, 'ETag: "b"')),
    ),
    required(
        "9111 4.4", "a part is invalidated", _ranged(0, 4), Step(method="PUT", asked=True), miss("Range: bytes=0-2")
    ),
    allowed(
        "9110 14.2",
        "a range of a variant",
        get("X-A: 1", asked=True, reply=_reply(HOUR, "Vary: X-A", content=WHOLE)),
        hit("X-A: 1", "Range: bytes=1-2", of=b"12", status=206),
    ),
    allowed(
        "9110 14.2",
        "a range of what is fresh by heuristics",
        get(asked=True, reply=_reply("Last-Modified: {now-90000}", content=WHOLE)),
        hit("Range: bytes=1-2", of=b"12", status=206),
    ),
    required(
        "9110 14.2",
        "a range of a 203",
        get(asked=True, status=203, reply=_reply(HOUR, status=203, content=WHOLE)),
        get("Range: bytes=1-2", status=None, checks=(status_in(203, 206, 200),)),
    ),
]
