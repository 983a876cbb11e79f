"""Ladder diagrams for the report of a run, and the frames that its evidence cites.

Frame numbers are those of the capture that the result names. Only parts of the capture are drawn:

- for each measured time, one of its samples (repetitions); warm-ups and checks before the measurement are left out;
- for a run without samples, its first messages that count as evidence;
- for each claim (statement of the course), the messages in the first frames that its evidence cites.

The cited frames and the first frame of each arrow, up to FRAMES_MAX frames, are listed as decoded by scapy and as
octets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lab7.experiments.harness.capture.reader import CaptureReadError
from lab7.experiments.harness.judge.frames import CaptureFile, Frame
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.results.result import CaptureSpan, Comparison, Result
from lab7.experiments.ladder.ladder import Arrow, Ladder, in_order, ladder_of
from lab7.experiments.ladder.messages import printable
from lab7.experiments.ladder.named_capture import read_named_capture
from lab7.experiments.ladder.selection import conversation_of, conversations_with
from lab7.experiments.ladder.svg import Drawing, describe, render_svg

# Limits of a report's diagrams: arrows of the first ladder and of a claim's, frames cited per claim, frames read for
# the first ladder, frames shown, octets and lines of text shown of a frame, characters of a decoded layer.
FIRST_MESSAGES, CLAIM_MESSAGES, CLAIM_FRAMES, FIRST_FRAMES, FRAMES_MAX = 30, 12, 12, 600, 150
OCTETS_MAX, TEXT_LINES_MAX, LAYER_MAX = 256, 12, 400
# Parts of a run that are drawn: one sample of each of the first comparisons.
PARTS_MAX = 12
# Parameter of a run with the round-trip time in s, which is the distance of the grid's lines.
RTT_PARAMETER = "rtt"


@dataclass(frozen=True)
class Picture:
    """Ladder diagram as SVG, one sentence per arrow for readers without the image, and the number of omitted messages.

    `svg` has two elements, of which the style of the report shows one: for a page, and for the screen of a phone.
    `name`: the part of the run that is drawn, such as the name of the measured time.
    """

    svg: str
    sentences: tuple[str, ...]
    left_out: int = 0
    name: str = ""


@dataclass(frozen=True)
class CitedFrame:
    """Frame in a report: number, time in s since the first frame, interface, summary, decoded layers, octets.

    `claims`: ids of the claims whose evidence cites the frame.
    """

    number: int
    time_s: float
    interface: str
    summary: str
    layers: str
    dump: str
    claims: tuple[str, ...]


@dataclass(frozen=True)
class RunPictures:
    """Ladder diagrams of a run, for its parts and for its claims (keyed by claim id), and the frames to list.

    `parts`: one measured sample of each comparison, or else the first messages (empty without a message). `sampled`:
    True if the parts are samples. `grid`: True if the parts have grid lines one round-trip time apart. `elsewhere`:
    comparison -> capture, for the comparisons whose samples are in other captures.
    """

    capture: str
    parts: tuple[Picture, ...]
    by_claim: dict[str, Picture]
    frames: tuple[CitedFrame, ...]
    grid: bool = False
    sampled: bool = False
    elsewhere: dict[str, str] = field(default_factory=dict)


def run_pictures(folder: Path, result: Result) -> RunPictures | None:
    """Return the ladder diagrams of a result from the capture in its folder; None without a readable capture."""
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
    drawn = _samples(captured, result, cited)
    sampled = bool(drawn)
    if not drawn:
        drawn = {"The first messages of the run": _head(captured, cited)}
    grid_ns = _grid_ns(result)
    heads = [arrow for part in drawn.values() for arrow in part.arrows[:FIRST_MESSAGES]]
    shown = _shown(cited, [*heads, *ladder.of_level("message").arrows])
    by_claim: dict[str, Picture] = {}
    for claim in result.claims:
        if picture := _claim_picture(ladder, claim.id, cited[claim.id], shown):
            by_claim[claim.id] = picture
    marks = {number: claim for claim, numbers in reversed(cited.items()) for number in numbers}
    parts = [
        replace(picture, name=name)
        for name, some in drawn.items()
        if (picture := _picture(some, FIRST_MESSAGES, name, lambda one: _marks(one, marks), shown, grid_ns))
    ]
    frames = tuple(_frame(captured, number, claims) for number, claims in sorted(shown.items()))
    elsewhere = {
        one.name: one.span.capture
        for one in result.comparisons
        if one.span and one.span.capture != result.files.capture
    }
    return RunPictures(result.files.capture, tuple(parts), by_claim, frames, grid_ns > 0, sampled, elsewhere)


def _samples(captured: CaptureFile, result: Result, cited: dict[str, list[int]]) -> dict[str, Ladder]:
    """Return comparison -> ladder of one sample: the sample with most of the cited frames, or else the first one."""
    first_ns = captured.frames[0].time_ns
    times_ns = [captured.frames[number - 1].time_ns - first_ns for numbers in cited.values() for number in numbers]
    found: dict[str, Ladder] = {}
    for comparison in result.comparisons:
        spans = [span for span in _spans(comparison) if span.capture == result.files.capture]
        if not spans or len(found) == PARTS_MAX:
            continue
        best = max(spans, key=lambda span: sum(span.start_ns <= time_ns <= span.end_ns for time_ns in times_ns))
        start_ns, end_ns = first_ns + best.start_ns, first_ns + best.end_ns
        within = {frame.number for frame in captured.frames if start_ns <= frame.time_ns <= end_ns}
        messages = ladder_of(conversations_with(captured, within)).between(start_ns, end_ns)
        # Connections without a message in the sample, such as those that are still closing, are not part of it.
        frames = [captured.frames[number - 1] for number in within]
        numbers = {number for arrow in messages.arrows for number in arrow.frames}
        keys = {conversation_of(frame.data) for frame in frames if frame.number in numbers}
        carrying = {frame.number for frame in frames if conversation_of(frame.data) in keys}
        whole = ladder_of(conversations_with(captured, carrying), with_tcp=True).between(start_ns, end_ns)
        # The columns are in the order of the sample, not of what its connections carried before.
        part = in_order(_without_acknowledgements(whole))
        if part.arrows:
            found[comparison.name] = part
    return found


def _spans(comparison: Comparison) -> tuple[CaptureSpan, ...]:
    """Return the time spans of a comparison's samples; in results of older versions, of the median sample only."""
    return comparison.spans or (() if comparison.span is None else (comparison.span,))


def _cited(claim: Verdict, captured: CaptureFile) -> list[int]:
    """Return the numbers of the first frames that a claim's evidence cites and that the capture contains."""
    numbers = [number for number in dict.fromkeys(claim.frames) if 1 <= number <= len(captured.frames)]
    return numbers[:CLAIM_FRAMES]


def _head(captured: CaptureFile, cited: dict[str, list[int]]) -> Ladder:
    """Return the ladder of the first frames, without acknowledgements.

    If evidence cites none of these messages, the ladder begins with the first conversation that evidence cites.
    """
    ladder = _without_acknowledgements(
        ladder_of(replace(captured, frames=captured.frames[:FIRST_FRAMES]), with_tcp=True)
    )
    numbers = {number for some in cited.values() for number in some}
    early = {number for arrow in ladder.arrows[:FIRST_MESSAGES] for number in (*arrow.frames, *arrow.arrivals)}
    if not numbers or early & numbers:
        return ladder
    start = conversations_with(captured, {min(numbers)}).frames
    if not start:
        return ladder
    at = captured.frames.index(start[0])
    later = replace(captured, frames=captured.frames[at : at + FIRST_FRAMES])
    return _without_acknowledgements(ladder_of(later, with_tcp=True))


def _without_acknowledgements(ladder: Ladder) -> Ladder:
    """Return the ladder without bare acknowledgements, but with segments that open, close or reset a connection."""
    return ladder.with_arrows(arrow for arrow in ladder.arrows if arrow.level == "message" or arrow.label != "ACK")


def _grid_ns(result: Result) -> int:
    """Return the configured round-trip time of the run in ns, as distance of grid lines; 0 without such a parameter."""
    rtt_s = result.parameters.get(RTT_PARAMETER)
    return round(rtt_s * 1e9) if isinstance(rtt_s, int | float) and not isinstance(rtt_s, bool) and rtt_s > 0 else 0


def _shown(cited: dict[str, list[int]], arrows: Sequence[Arrow]) -> dict[int, tuple[str, ...]]:
    """Return frame number -> ids of the claims that cite it, for at most FRAMES_MAX frames to list.

    Cited frames come first, then the first frame of each arrow.
    """
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
    """Return the ladder diagram for a claim: the messages in the cited frames, and those between them if they are few.

    None if no arrow belongs to a cited frame.
    """
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

    drawing = Drawing(title=title, marks=marks, link=link, grid_ns=grid_ns, words="on-page")
    svg = render_svg(part, drawing) + render_svg(part, replace(drawing, phone=True, words="on-phone"))
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
    """Yield a line for each layer of a packet with its fields as decoded by scapy, and lines of a text payload."""
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
    """Yield the first lines of a payload as long as they are text, then the payload's length if more follows."""
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
