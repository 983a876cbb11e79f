"""Pictures of a run for its report: a ladder of its first messages, one of each claim's evidence, and the frames cited.

Frame numbers are those of the capture that the result names. The pictures show a part of the capture: the first
messages of the run, and for each claim (statement of the course) the messages of the first frames that its evidence
cites. The frames that evidence cites and the first frame of each arrow, up to FRAMES_MAX frames, are shown as decoded
by scapy and as octets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab7.experiments.harness.capture.reader import CaptureReadError
from lab7.experiments.harness.judge.frames import CaptureFile, Frame
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.results.result import Result
from lab7.experiments.ladder.ladder import Arrow, Ladder, ladder_of
from lab7.experiments.ladder.messages import printable
from lab7.experiments.ladder.named_capture import read_named_capture
from lab7.experiments.ladder.selection import conversations_with
from lab7.experiments.ladder.svg import Drawing, describe, render_svg

# Bounds of a report's pictures: arrows of the first ladder and of a claim's, frames cited per claim, frames read for
# the first ladder, frames shown, octets and lines of text shown of a frame, characters of a decoded layer.
FIRST_MESSAGES, CLAIM_MESSAGES, CLAIM_FRAMES, FIRST_FRAMES, FRAMES_MAX = 30, 12, 12, 600, 150
OCTETS_MAX, TEXT_LINES_MAX, LAYER_MAX = 256, 12, 400
# Parameter of a run with the round-trip time in s, which is the distance of the grid's lines.
RTT_PARAMETER = "rtt"


@dataclass(frozen=True)
class Picture:
    """A ladder as SVG, one sentence per arrow for readers without the picture, and the number of messages left out."""

    svg: str
    sentences: tuple[str, ...]
    left_out: int = 0


@dataclass(frozen=True)
class CitedFrame:
    """A frame: number, time in s since the first frame, interface, summary, decoded layers, octets, citing claims."""

    number: int
    time_s: float
    interface: str
    summary: str
    layers: str
    dump: str
    claims: tuple[str, ...]


@dataclass(frozen=True)
class RunPictures:
    """Pictures of a run: of its first messages (None without a message), by claim id, and the frames shown.

    `grid`: the picture of the first messages has grid lines one round-trip time apart.
    """

    capture: str
    first: Picture | None
    by_claim: dict[str, Picture]
    frames: tuple[CitedFrame, ...]
    grid: bool = False


def run_pictures(folder: Path, result: Result) -> RunPictures | None:
    """Return the pictures of a result from the capture in its folder; None without a readable capture."""
    if result.files.capture is None:
        return None
    try:
        captured = read_named_capture(folder / result.files.capture, result)
    except (CaptureReadError, OSError):
        return None
    if not captured.frames:
        return None
    cited = {claim.id: _cited(claim, captured) for claim in result.claims}
    part = conversations_with(captured, {number for numbers in cited.values() for number in numbers})
    ladder = ladder_of(part, with_tcp=True) if part.frames else Ladder((), ())
    head = _head(captured)
    grid_ns = _grid_ns(result)
    shown = _shown(cited, [*head.arrows[:FIRST_MESSAGES], *ladder.of_level("message").arrows])
    by_claim: dict[str, Picture] = {}
    for claim in result.claims:
        if picture := _claim_picture(ladder, claim.id, cited[claim.id], shown):
            by_claim[claim.id] = picture
    marks = {number: claim for claim, numbers in reversed(cited.items()) for number in numbers}
    first = _picture(
        head, FIRST_MESSAGES, "The first messages of the run", lambda one: _marks(one, marks), shown, grid_ns
    )
    frames = tuple(_frame(captured, number, claims) for number, claims in sorted(shown.items()))
    return RunPictures(result.files.capture, first, by_claim, frames, grid=grid_ns > 0)


def _cited(claim: Verdict, captured: CaptureFile) -> list[int]:
    """Return the first frames that a claim's evidence cites, as far as the capture has them."""
    numbers = [number for number in dict.fromkeys(claim.frames) if 1 <= number <= len(captured.frames)]
    return numbers[:CLAIM_FRAMES]


def _head(captured: CaptureFile) -> Ladder:
    """Return the ladder of the first frames, with the segments that open, close or reset a connection."""
    ladder = ladder_of(replace(captured, frames=captured.frames[:FIRST_FRAMES]), with_tcp=True)
    return ladder.with_arrows(arrow for arrow in ladder.arrows if arrow.level == "message" or arrow.label != "ACK")


def _grid_ns(result: Result) -> int:
    """Return the round-trip time that the run was set to, in ns; 0 if it has no such parameter."""
    rtt_s = result.parameters.get(RTT_PARAMETER)
    return round(rtt_s * 1e9) if isinstance(rtt_s, int | float) and not isinstance(rtt_s, bool) and rtt_s > 0 else 0


def _shown(cited: dict[str, list[int]], arrows: Sequence[Arrow]) -> dict[int, tuple[str, ...]]:
    """Return the frames to show, with the claims that cite each: the evidence's frames, then the arrows' frames."""
    shown: dict[int, tuple[str, ...]] = {}
    for claim, numbers in cited.items():
        for number in numbers:
            shown[number] = (*shown.get(number, ()), claim)
    for arrow in arrows:
        if len(shown) >= FRAMES_MAX:
            break
        shown.setdefault(arrow.frames[0], ())
    return shown


def _claim_picture(ladder: Ladder, claim: str, numbers: Sequence[int], known: Collection[int]) -> Picture | None:
    """Return the ladder of a claim: the messages and segments of its frames, and the few messages between them."""
    part = ladder.with_frames(numbers)
    if not part.arrows:
        return None
    wanted = set(numbers)
    # The messages between the first and the last one cited show the order of events.
    times = [arrow.sent_ns for arrow in part.arrows]
    hosts = set(part.columns)
    between = ladder.between(min(times), max(times))
    around = between.with_arrows(
        arrow
        for arrow in between.arrows
        if {between.columns[arrow.source], between.columns[arrow.target]} <= hosts
        and (arrow.level == "message" or wanted & {*arrow.frames, *arrow.arrivals})
    )
    shown = around if len(around.arrows) <= CLAIM_MESSAGES else part
    return _picture(
        shown,
        CLAIM_MESSAGES,
        f"Messages of the evidence for {claim}",
        lambda arrow: [claim] if wanted & {*arrow.frames, *arrow.arrivals} and shown is around else [],
        known,
    )


def _marks(arrow: Arrow, marks: dict[int, str]) -> list[str]:
    return list(dict.fromkeys(marks[number] for number in (*arrow.frames, *arrow.arrivals) if number in marks))[:3]


def _picture(
    ladder: Ladder,
    most: int,
    title: str,
    marked: Callable[[Arrow], list[str]],
    known: Collection[int],
    grid_ns: int = 0,
) -> Picture | None:
    if not ladder.arrows:
        return None
    part = ladder.with_arrows(ladder.arrows[:most])
    marks = {place: words for place, arrow in enumerate(part.arrows) if (words := marked(arrow))}
    start_ns = part.arrows[0].sent_ns

    def link(arrow: Arrow) -> str | None:
        number = next((number for number in (*arrow.frames, *arrow.arrivals) if number in known), None)
        return None if number is None else f"#frame-{number}"

    svg = render_svg(part, Drawing(title=title, marks=marks, link=link, grid_ns=grid_ns))
    return Picture(
        svg,
        tuple(describe(part, arrow, start_ns) for arrow in part.arrows),
        len(ladder.arrows) - len(part.arrows),
    )


def _frame(captured: CaptureFile, number: int, claims: tuple[str, ...]) -> CitedFrame:
    frame = captured.frames[number - 1]
    time_s = (frame.time_ns - captured.frames[0].time_ns) / 1e9
    decoded = "\n".join(_layers(frame.packet))
    return CitedFrame(
        number, time_s, frame.interface, printable(frame.packet.summary()), decoded, "\n".join(_dump(frame)), claims
    )


def _layers(packet: Any) -> Iterator[str]:
    """Yield a line for each layer of a packet with its fields as scapy decodes them, and the lines of its text."""
    for place in range(len(packet.layers())):
        layer = packet.getlayer(place)
        if layer.name in ("Raw", "Padding"):
            if layer.name == "Raw":
                yield from _text_lines(bytes(layer))
            continue
        words = (f"{field.name}={field.i2repr(layer, layer.getfieldval(field.name))}" for field in layer.fields_desc)
        line = printable(f"{layer.name}: {' '.join(words)}")
        yield line if len(line) <= LAYER_MAX else line[: LAYER_MAX - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _text_lines(payload: bytes) -> Iterator[str]:
    """Yield the first lines of a text payload, up to the first line that is not text; for other payload, its length."""
    lines = payload.split(b"\n")
    shown = 0
    for line in lines[:TEXT_LINES_MAX]:
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        if not text.isprintable():
            break
        yield f"  {text[:LAYER_MAX]}"
        shown += 1
    if shown < len(lines):
        yield f"  ... {len(payload):,} octets of payload"


def _dump(frame: Frame) -> Iterable[str]:
    """Yield lines of offset, octets in hexadecimal, and text, as `xxd` prints them."""
    data = frame.data[:OCTETS_MAX]
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        text = "".join(chr(octet) if 32 <= octet < 127 else "." for octet in row)
        yield f"{at:04x}  {row.hex(' ', 1):<47}  {text}"
    if len(frame.data) > OCTETS_MAX:
        yield f"... {len(frame.data) - OCTETS_MAX:,} octets more"
