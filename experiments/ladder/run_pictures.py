"""Pictures of a run for its report: a ladder of its first messages, one of each claim's evidence, and the frames cited.

Frame numbers are those of the capture that the result names. The pictures show a part of it: the first messages of the
run, and for each claim the messages of the first frames that its evidence cites.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.harness.capture.reader import CaptureReadError
from experiments.harness.judge.frames import CaptureFile, Frame, read_capture
from experiments.harness.judge.verdict import Verdict
from experiments.harness.results.result import Result
from experiments.ladder.ladder import Arrow, Ladder, ladder_of
from experiments.ladder.selection import conversations_with
from experiments.ladder.svg import Drawing, describe, render_svg

# Bounds of a report's pictures: messages of the first ladder and of a claim's, frames cited per claim, frames read for
# the first ladder, octets shown of a frame.
FIRST_MESSAGES, CLAIM_MESSAGES, CLAIM_FRAMES, FIRST_FRAMES, OCTETS_MAX = 24, 12, 12, 600, 400


@dataclass(frozen=True)
class Picture:
    """A ladder as SVG, one sentence per arrow for readers without the picture, and the number of messages left out."""

    svg: str
    sentences: tuple[str, ...]
    left_out: int = 0


@dataclass(frozen=True)
class CitedFrame:
    """A frame that evidence cites: its number, time in s since the first frame, interface, summary and octets."""

    number: int
    time_s: float
    interface: str
    summary: str
    dump: str


@dataclass(frozen=True)
class RunPictures:
    """Pictures of a run: of its first messages (None without a message), by claim id, and the frames cited."""

    capture: str
    first: Picture | None
    by_claim: dict[str, Picture]
    frames: tuple[CitedFrame, ...]


def run_pictures(folder: Path, result: Result) -> RunPictures | None:
    """Return the pictures of a result from the capture in its folder; None without a readable capture."""
    if result.files.capture is None:
        return None
    try:
        captured = read_capture(folder / result.files.capture)
    except (CaptureReadError, OSError):
        return None
    if not captured.frames:
        return None
    cited = {claim.id: _cited(claim, captured) for claim in result.claims}
    part = conversations_with(captured, {number for numbers in cited.values() for number in numbers})
    ladder = ladder_of(part) if part.frames else Ladder((), ())
    by_claim: dict[str, Picture] = {}
    for claim in result.claims:
        if picture := _claim_picture(ladder, claim.id, cited[claim.id]):
            by_claim[claim.id] = picture
    first = _first_picture(captured, cited)
    numbers = sorted({number for some in cited.values() for number in some})
    return RunPictures(result.files.capture, first, by_claim, tuple(_frame(captured, number) for number in numbers))


def _cited(claim: Verdict, captured: CaptureFile) -> list[int]:
    """Return the first frames that a claim's evidence cites, as far as the capture has them."""
    numbers = [number for number in dict.fromkeys(claim.frames) if 1 <= number <= len(captured.frames)]
    return numbers[:CLAIM_FRAMES]


def _first_picture(captured: CaptureFile, cited: dict[str, list[int]]) -> Picture | None:
    head = ladder_of(replace(captured, frames=captured.frames[:FIRST_FRAMES]))
    marks = {number: claim for claim, numbers in reversed(cited.items()) for number in numbers}
    return _picture(head, FIRST_MESSAGES, "The first messages of the run", lambda arrow: _marks(arrow, marks))


def _claim_picture(ladder: Ladder, claim: str, numbers: Sequence[int]) -> Picture | None:
    """Return the ladder of a claim: the messages of its frames, or of the conversations of frames without a message."""
    part = ladder.with_frames(numbers)
    if not part.arrows:
        return None
    wanted = set(numbers)
    # The messages between the first and the last one cited show the order of events.
    times = [arrow.sent_ns for arrow in part.arrows]
    hosts = set(part.columns)
    between = ladder.between(min(times), max(times))
    around = between.with_arrows(
        arrow for arrow in between.arrows if {between.columns[arrow.source], between.columns[arrow.target]} <= hosts
    )
    shown = around if len(around.arrows) <= CLAIM_MESSAGES else part
    return _picture(
        shown,
        CLAIM_MESSAGES,
        f"Messages of the evidence for {claim}",
        lambda arrow: [claim] if wanted & {*arrow.frames, *arrow.arrivals} and shown is around else [],
    )


def _marks(arrow: Arrow, marks: dict[int, str]) -> list[str]:
    return list(dict.fromkeys(marks[number] for number in (*arrow.frames, *arrow.arrivals) if number in marks))[:3]


def _picture(ladder: Ladder, most: int, title: str, marked: Callable[[Arrow], list[str]]) -> Picture | None:
    if not ladder.arrows:
        return None
    part = ladder.with_arrows(ladder.arrows[:most])
    marks = {place: words for place, arrow in enumerate(part.arrows) if (words := marked(arrow))}
    start_ns = part.arrows[0].sent_ns
    svg = render_svg(part, Drawing(title=title, marks=marks))
    return Picture(
        svg,
        tuple(describe(part, arrow, start_ns) for arrow in part.arrows),
        len(ladder.arrows) - len(part.arrows),
    )


def _frame(captured: CaptureFile, number: int) -> CitedFrame:
    frame = captured.frames[number - 1]
    time_s = (frame.time_ns - captured.frames[0].time_ns) / 1e9
    return CitedFrame(number, time_s, frame.interface, frame.packet.summary(), "\n".join(_dump(frame)))


def _dump(frame: Frame) -> Iterable[str]:
    """Yield lines of offset, octets in hexadecimal, and text, as `xxd` prints them."""
    data = frame.data[:OCTETS_MAX]
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        text = "".join(chr(octet) if 32 <= octet < 127 else "." for octet in row)
        yield f"{at:04x}  {row.hex(' ', 1):<47}  {text}"
    if len(frame.data) > OCTETS_MAX:
        yield f"... {len(frame.data) - OCTETS_MAX:,} octets more"
