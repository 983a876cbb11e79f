"""Ladder diagrams for the report of an experiment run, and the captured frames that its evidence cites.

A run may have several captures, each with its own frame numbers. Only parts of the captures are drawn:

- for each measured time, one of its samples (repetitions); warm-ups and checks before the measurement are left out;
- the messages that evidence cites outside of these samples, with their neighbours in the same connections;
- for a run without samples and without such evidence, the first messages of the capture that the result names;
- for each claim (statement of the course), and each capture that its evidence cites, the messages in the first frames
  cited.

The cited frames and the first frame of each arrow, up to FRAMES_MAX frames, are listed as decoded by scapy and as
octets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from lab7.experiments.harness.capture.pcapng import CaptureReadError
from lab7.experiments.harness.judge.frames import CaptureFile, Frame, read_capture
from lab7.experiments.harness.results.result import CaptureSpan, Comparison, Result
from lab7.experiments.ladder.ladder import Arrow, Ladder, in_order, ladder_of
from lab7.experiments.ladder.messages import printable
from lab7.experiments.ladder.named_capture import read_frames
from lab7.experiments.ladder.selection import Key, conversation_of, conversations_with
from lab7.experiments.ladder.svg import Drawing, effective_delay_ns, milliseconds, render_svg

# Limits of a report's diagrams: arrows of the first ladder and of a claim's, frames cited per claim, frames read for
# the first ladder, frames shown, octets and lines of text shown of a frame, characters of a decoded layer.
FIRST_MESSAGES, CLAIM_MESSAGES, CLAIM_FRAMES, FIRST_FRAMES, FRAMES_MAX = 30, 12, 12, 600, 150
OCTETS_MAX, TEXT_LINES_MAX, LAYER_MAX = 256, 12, 400
# Frames listed for a cell of a matrix.
CELL_FRAMES = 6
# Samples that are drawn: one of each of the first comparisons. Messages before and behind a cited one.
PARTS_MAX, NEIGHBOURS_MAX = 12, 6
# Two ladders are side by side if they have at most so many columns, on one scale if their delays differ by less than
# this factor.
SIDE_BY_SIDE_COLUMNS, SAME_SCALE = 3, 4
# Parameter of a run with the round-trip time in s, which is the distance of the grid's lines.
RTT_PARAMETER = "rtt"


@dataclass(frozen=True)
class MessageRow:
    """Row of the table below a ladder diagram: one message, or the wait of a host before it.

    For a wait, only `waits` and the times are set. Times are in ms, as text; an arrival may be "lost" or "not
    captured". `frames`: (number, anchor or None) at the sender and at the receiver.
    """

    protocol: str
    source: str
    target: str
    words: str
    sent: str
    arrived: str
    took: str
    octets: int
    frames: tuple[tuple[int, str | None], ...]
    waits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """Ladder diagram as SVG, the table of its messages for readers without the image, number of omitted messages.

    `svg` has two elements, one for a page and one for the screen of a phone; the report's style shows one of them.
    `name`: the part of the run that is drawn, such as the name of the measured time, or the ids of claims. `kind`: the
    kind of this part. `capture`: its capture. `half`: True for one of two ladders side by side.
    """

    svg: str
    rows: tuple[MessageRow, ...]
    left_out: int = 0
    name: str = ""
    kind: Literal["sample", "evidence", "first"] = "first"
    capture: str = ""
    half: bool = False


@dataclass(frozen=True)
class CitedFrame:
    """Frame listed in a report: number, time in s since the first frame, interface, summary, decoded layers, octets.

    `anchor`: id of the frame in the page, the target of links. `claims`: ids of the claims whose evidence cites the
    frame.
    """

    capture: str
    number: int
    anchor: str
    time_s: float
    interface: str
    summary: str
    layers: str
    dump: str
    claims: tuple[str, ...]


@dataclass(frozen=True)
class RunPictures:
    """Ladder diagrams of a run, for its parts and for its claims (keyed by claim id), and the frames to list.

    `capture`: the capture of the parts. `captures`: this capture, and further captures that evidence cites. A claim has
    one picture for each capture that its evidence cites, with the capture as its name. `parts`: one measured sample of
    each comparison, and the cited messages that no sample shows; the messages come first if the samples show the whole
    evidence of no claim. If there are neither, the first messages of the capture. `compared`: the slowest and the
    fastest of the samples, in the order of the result, which are not among `parts` then. `grid`: True if the parts have
    grid lines one round-trip time apart. `undrawn`: comparison -> capture, for samples beyond the number that is drawn,
    or in captures that are not readable.
    """

    capture: str
    captures: tuple[str, ...]
    parts: tuple[Picture, ...]
    by_claim: dict[str, tuple[Picture, ...]]
    frames: tuple[CitedFrame, ...]
    grid: bool = False
    undrawn: dict[str, str] = field(default_factory=dict)
    compared: tuple[Picture, ...] = ()

    @property
    def kinds(self) -> set[str]:
        """Return the kinds of the parts."""
        return {part.kind for part in (*self.compared, *self.parts)}

    @cached_property
    def anchors(self) -> dict[tuple[str, int], str]:
        """Return (capture, frame number) -> anchor, for the frames that are listed."""
        return {(frame.capture, frame.number): frame.anchor for frame in self.frames}


# Claim id -> numbers of the frames in one capture that its evidence cites.
_Cited = dict[str, list[int]]


def run_pictures(folder: Path, result: Result) -> RunPictures | None:
    """Return the ladder diagrams of a result from the captures in its folder.

    None if the capture that the result names is not readable; other captures that are not readable are left out.
    """
    main = result.files.capture
    if main is None:
        return None
    cited_names = [name for claim in result.claims for name in claim.cited(main)]
    sampled = [span.capture for one in result.comparisons[:PARTS_MAX] for span in _spans(one)[:1]]
    names = dict.fromkeys([main, *cited_names, *sampled])
    read = {name: captured for name in names if (captured := read_frames(folder / Path(name).name, result)) is not None}
    if main not in read:
        return None
    cited = {
        name: {claim.id: _cited(claim.cited(main).get(name, ()), captured) for claim in result.claims}
        for name, captured in read.items()
    }
    ladders = {name: _ladder_with(captured, cited[name]) for name, captured in read.items()}
    drawn = _parts(read, main, result, cited, ladders)
    grid_ns = _grid_ns(result)
    arrows = [(part.capture, arrow) for part in drawn for arrow in part.ladder.arrows[:FIRST_MESSAGES]]
    arrows += [(name, arrow) for name, ladder in ladders.items() for arrow in ladder.of_level("message").arrows]
    shown = _shown(cited, arrows)
    anchors = {name: {number: _anchor(name, number, main) for place, number in shown if place == name} for name in read}
    by_claim: dict[str, tuple[Picture, ...]] = {}
    for claim in result.claims:
        pictures = (
            _claim_picture(ladder, claim.id, cited[name][claim.id], name, anchors[name])
            for name, ladder in ladders.items()
        )
        if found := tuple(picture for picture in pictures if picture is not None):
            by_claim[claim.id] = found
    pair = _compared(drawn, result)
    options = _side_by_side(pair, Drawing(grid_ns=grid_ns))
    compared = [picture for part in pair if (picture := _part_picture(part, cited[part.capture], anchors, options))]
    parts = [
        picture
        for part in drawn
        if part not in pair and (picture := _part_picture(part, cited[part.capture], anchors, Drawing(grid_ns=grid_ns)))
    ]
    frames = (
        _frame(read[name], name, number, anchors[name][number], claims)
        for (name, number), claims in sorted(shown.items(), key=lambda one: (list(read).index(one[0][0]), one[0][1]))
    )
    seen = {part.name for part in drawn if part.kind == "sample"}
    undrawn = {one.name: one.span.capture for one in result.comparisons if one.span and one.name not in seen}
    return RunPictures(main, tuple(read), tuple(parts), by_claim, tuple(frames), grid_ns > 0, undrawn, tuple(compared))


@dataclass(frozen=True)
class CellPictures:
    """Evidence of one cell of a test matrix: ladder of the messages (None if there is none), and the cited frames."""

    ladder: Picture | None
    frames: tuple[CitedFrame, ...]


def cell_pictures(folder: Path, cited: Mapping[int, tuple[str, Sequence[int]]]) -> dict[int, CellPictures]:
    """Return cell number -> evidence, for the cells of a test matrix.

    `cited`: cell number -> (capture in `folder`, frame numbers). Cells whose capture is not readable are left out.
    """
    found: dict[int, CellPictures] = {}
    for name in dict.fromkeys(capture for capture, _ in cited.values()):
        try:
            captured = read_capture(folder / Path(name).name)
        except (CaptureReadError, OSError):
            continue
        for cell, (capture, frames) in cited.items():
            numbers = _cited(frames, captured)
            if capture != name or not numbers:
                continue
            anchors = {number: f"cell-{cell}-frame-{number}" for number in numbers[:CELL_FRAMES]}
            ladder = _ladder_with(captured, {"": numbers})
            picture = _claim_picture(ladder, "", numbers, name, anchors) if ladder.arrows else None
            shown = (_frame(captured, name, number, anchors[number], ()) for number in numbers[:CELL_FRAMES])
            found[cell] = CellPictures(picture, tuple(shown))
    return found


@dataclass(frozen=True)
class _Part:
    """Part of a run to draw: the fields of its Picture, and its ladder."""

    name: str
    kind: Literal["sample", "evidence", "first"]
    capture: str
    ladder: Ladder


def _parts(
    read: Mapping[str, CaptureFile],
    main: str,
    result: Result,
    cited: Mapping[str, _Cited],
    ladders: Mapping[str, Ladder],
) -> list[_Part]:
    """Return the parts of a run to draw, in order (see RunPictures)."""
    samples = _samples(read, result, cited)
    seen = {
        (part.capture, number)
        for part in samples
        for arrow in part.ladder.arrows[:FIRST_MESSAGES]
        for number in (*arrow.frames, *arrow.arrivals)
    }
    unseen = {
        name: {
            claim: numbers
            for claim, numbers in claims.items()
            if numbers and not seen.issuperset((name, number) for number in numbers)
        }
        for name, claims in cited.items()
    }
    # Captures are in the order in which evidence cites them.
    order = dict.fromkeys(name for claim in result.claims for name in claim.cited(main) if name in read)
    evidence = [
        _Part(", ".join(unseen[name]), "evidence", name, part)
        for name in order
        if unseen[name] and (part := _evidence(read[name], ladders[name], unseen[name])).arrows
    ]
    missing = {claim for part in evidence for claim in unseen[part.capture]}
    if evidence and missing == {claim.id for claim in result.claims if claim.frames}:
        return evidence + samples
    if samples or evidence:
        return samples + evidence
    return [_Part("The first messages of the run", "first", main, _head(read[main]))]


def _evidence(captured: CaptureFile, ladder: Ladder, cited: _Cited) -> Ladder:
    """Return the ladder of the cited messages, each with as many neighbours in its conversation as fit.

    The ladder is empty if there are too many cited messages for one diagram.
    """
    wanted = {number for numbers in cited.values() for number in numbers}
    conversations: dict[Key | None, list[Arrow]] = defaultdict(list)
    for arrow in _without_acknowledgements(ladder).arrows:
        conversations[conversation_of(captured.frames[arrow.frames[0] - 1].data)].append(arrow)
    found: set[Arrow] = set()
    for neighbours in range(NEIGHBOURS_MAX + 1):
        kept = {
            arrow
            for arrows in conversations.values()
            for place, arrow in enumerate(arrows)
            if any(
                wanted & {*near.frames, *near.arrivals}
                for near in arrows[max(place - neighbours, 0) : place + neighbours + 1]
            )
        }
        if len(kept) > FIRST_MESSAGES:
            break
        found = kept
    return in_order(ladder.with_arrows(arrow for arrow in ladder.arrows if arrow in found))


def _compared(drawn: Sequence[_Part], result: Result) -> list[_Part]:
    """Return the samples of the slowest and of the fastest measured time, in the order of the result.

    The list is empty if there are not two samples, or if the evidence comes first.
    """
    times_s = {one.name: one.raw_s for one in result.comparisons}
    samples = [part for part in drawn if part.kind == "sample"]
    if len(samples) < 2 or drawn[0].kind == "evidence":
        return []
    slowest = max(samples, key=lambda part: times_s[part.name])
    fastest = min((part for part in samples if part is not slowest), key=lambda part: times_s[part.name])
    return [part for part in samples if part in (slowest, fastest)]


def _side_by_side(pair: Sequence[_Part], options: Drawing) -> Drawing:
    """Return the drawing options for two compared ladders: narrow if both fit on a line, on one scale if similar."""
    if len(pair) < 2:
        return options
    shown = [part.ladder.with_arrows(part.ladder.arrows[:FIRST_MESSAGES]) for part in pair]
    delays = [effective_delay_ns(ladder) for ladder in shown]
    is_one_scale = max(delays) < SAME_SCALE * min(delays)
    half = all(len(ladder.columns) <= SIDE_BY_SIDE_COLUMNS for ladder in shown)
    return replace(options, half=half, delay_ns=max(delays) if is_one_scale else None)


def _part_picture(
    part: _Part, cited: _Cited, anchors: Mapping[str, Mapping[int, str]], options: Drawing
) -> Picture | None:
    marks = {number: claim for claim, numbers in reversed(cited.items()) for number in numbers}
    options = replace(options, title=f"Evidence of {part.name}" if part.kind == "evidence" else part.name)
    picture = _picture(part.ladder, FIRST_MESSAGES, lambda one: _marks(one, marks), anchors[part.capture], options)
    return picture and replace(picture, name=part.name, kind=part.kind, capture=part.capture, half=options.half)


def _ladder_with(captured: CaptureFile, cited: _Cited) -> Ladder:
    """Return the ladder of the conversations that include frames cited by the evidence of claims."""
    part = conversations_with(captured, {number for numbers in cited.values() for number in numbers})
    return ladder_of(part, with_tcp=True) if part.frames else Ladder((), ())


def _anchor(capture: str, number: int, main: str) -> str:
    """Return the id of a frame in the page: its number, after the capture's name unless that is the capture `main`."""
    return f"frame-{number}" if capture == main else f"frame-{number}-{Path(capture).stem}"


def _samples(read: Mapping[str, CaptureFile], result: Result, cited: Mapping[str, _Cited]) -> list[_Part]:
    """Return one sample of each measured time: the one with most of the cited frames, or else the first.

    Columns are in the order of the sample, not in that of earlier messages on its connections.
    """
    times_ns = {
        name: [
            captured.frames[number - 1].time_ns - captured.frames[0].time_ns
            for numbers in cited[name].values()
            for number in numbers
        ]
        for name, captured in read.items()
    }

    def cited_in(span: CaptureSpan) -> int:
        return sum(span.start_ns <= time_ns <= span.end_ns for time_ns in times_ns[span.capture])

    found: list[_Part] = []
    for comparison in result.comparisons:
        spans = [span for span in _spans(comparison) if span.capture in read]
        if not spans or len(found) == PARTS_MAX:
            continue
        best = max(spans, key=cited_in)
        part = in_order(_without_acknowledgements(_ladder_within(read[best.capture], best)))
        if part.arrows:
            found.append(_Part(comparison.name, "sample", best.capture, part))
    return found


def _ladder_within(captured: CaptureFile, span: CaptureSpan) -> Ladder:
    """Return the ladder of all segments of the connections that carry a message within a time span."""
    first_ns = captured.frames[0].time_ns
    start_ns, end_ns = first_ns + span.start_ns, first_ns + span.end_ns
    within = {frame.number for frame in captured.frames if start_ns <= frame.time_ns <= end_ns}
    messages = ladder_of(conversations_with(captured, within)).between(start_ns, end_ns)
    # Connections without a message in the sample, such as those that are still closing, are not part of it.
    frames = [captured.frames[number - 1] for number in within]
    numbers = {number for arrow in messages.arrows for number in arrow.frames}
    keys = {conversation_of(frame.data) for frame in frames if frame.number in numbers}
    carrying = {frame.number for frame in frames if conversation_of(frame.data) in keys}
    return ladder_of(conversations_with(captured, carrying), with_tcp=True).between(start_ns, end_ns)


def _spans(comparison: Comparison) -> tuple[CaptureSpan, ...]:
    """Return the time spans of all samples of a measured time; in results of older versions, of the median sample."""
    return comparison.spans or (() if comparison.span is None else (comparison.span,))


def _cited(frames: Iterable[int], captured: CaptureFile) -> list[int]:
    """Return the cited frame numbers that exist in the capture, without duplicates, at most CLAIM_FRAMES."""
    return [number for number in dict.fromkeys(frames) if 1 <= number <= len(captured.frames)][:CLAIM_FRAMES]


def _head(captured: CaptureFile) -> Ladder:
    """Return the ladder of the first frames of a capture, without acknowledgements."""
    part = replace(captured, frames=captured.frames[:FIRST_FRAMES])
    return _without_acknowledgements(ladder_of(part, with_tcp=True))


def _without_acknowledgements(ladder: Ladder) -> Ladder:
    """Return the ladder without bare acknowledgements, but with segments that open, close or reset a connection.

    An acknowledgement for which another message waits is kept.
    """
    waited_for = {wait.frame for wait in ladder.waits}
    return ladder.with_arrows(
        arrow
        for arrow in ladder.arrows
        if arrow.level == "message" or arrow.label != "ACK" or not waited_for.isdisjoint(arrow.frames)
    )


def _grid_ns(result: Result) -> int:
    """Return the run's configured round-trip time in ns, as distance of grid lines; 0 if there is no such parameter."""
    rtt_s = result.parameters.get(RTT_PARAMETER)
    return round(rtt_s * 1e9) if isinstance(rtt_s, int | float) and not isinstance(rtt_s, bool) and rtt_s > 0 else 0


def _shown(cited: Mapping[str, _Cited], arrows: Iterable[tuple[str, Arrow]]) -> dict[tuple[str, int], tuple[str, ...]]:
    """Return (capture, frame number) -> ids of the claims that cite the frame, for at most FRAMES_MAX frames to list.

    Cited frames come first, then the first frame of each of the `arrows`, pairs (capture, arrow).
    """
    shown: dict[tuple[str, int], tuple[str, ...]] = {}
    for name, claims in cited.items():
        for claim, numbers in claims.items():
            for number in numbers:
                shown[name, number] = (*shown.get((name, number), ()), claim)
    for name, arrow in arrows:
        if len(shown) >= FRAMES_MAX:
            break
        shown.setdefault((name, arrow.frames[0]), ())
    return shown


def _claim_picture(
    ladder: Ladder, claim: str, numbers: Sequence[int], capture: str, anchors: Mapping[int, str]
) -> Picture | None:
    """Return the ladder diagram for a claim: the messages in the cited frames, and those between them if they are few.

    Returns None if no arrow belongs to a cited frame.
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
    picture = _picture(
        shown,
        CLAIM_MESSAGES,
        lambda arrow: [claim] if claim and wanted & {*arrow.frames, *arrow.arrivals} and shown is around else [],
        anchors,
        Drawing(title=f"Messages of the evidence for {claim}" if claim else "Messages of the evidence"),
    )
    return picture and replace(picture, name=capture)


def _marks(arrow: Arrow, marks: dict[int, str]) -> list[str]:
    return list(dict.fromkeys(marks[number] for number in (*arrow.frames, *arrow.arrivals) if number in marks))[:3]


def _picture(
    ladder: Ladder, most: int, marked: Callable[[Arrow], list[str]], anchors: Mapping[int, str], options: Drawing
) -> Picture | None:
    if not ladder.arrows:
        return None
    part = ladder.with_arrows(ladder.arrows[:most])
    marks = {place: words for place, arrow in enumerate(part.arrows) if (words := marked(arrow))}

    def link(arrow: Arrow) -> str | None:
        number = next((number for number in (*arrow.frames, *arrow.arrivals) if number in anchors), None)
        return None if number is None else f"#{anchors[number]}"

    drawing = replace(options, marks=marks, link=link, words="on-page")
    svg = render_svg(part, drawing) + render_svg(part, replace(drawing, phone=True, words="on-phone"))
    return Picture(svg, tuple(_rows(part, anchors)), len(ladder.arrows) - len(part.arrows))


def _rows(ladder: Ladder, anchors: Mapping[int, str]) -> Iterator[MessageRow]:
    """Yield the rows of the table behind a ladder."""
    waits, start_ns = ladder.noticeable_waits(), ladder.arrows[0].sent_ns
    for place, arrow in enumerate(ladder.arrows):
        arrived = "lost" if arrow.lost else "not captured"
        if arrow.received_end_ns is not None:
            arrived = milliseconds(arrow.received_end_ns - start_ns)
        ends = dict.fromkeys([*arrow.frames[:1], *arrow.frames[-1:], *arrow.arrivals[:1], *arrow.arrivals[-1:]])
        yield MessageRow(
            arrow.protocol.upper(),
            ladder.columns[arrow.source],
            ladder.columns[arrow.target],
            printable(arrow.words),
            milliseconds(arrow.sent_ns - start_ns),
            arrived,
            "" if arrow.flight_ns is None else milliseconds(arrow.flight_ns),
            arrow.octets,
            tuple((number, anchors.get(number)) for number in ends),
            tuple(f"{wait.host} {milliseconds(wait.length_ns)} ms {wait.cause}" for wait in waits.get(place, ())),
        )


def _frame(captured: CaptureFile, capture: str, number: int, anchor: str, claims: tuple[str, ...]) -> CitedFrame:
    frame = captured.frames[number - 1]
    return CitedFrame(
        capture=capture,
        number=number,
        anchor=anchor,
        time_s=(frame.time_ns - captured.frames[0].time_ns) / 1e9,
        interface=frame.interface,
        summary=printable(frame.packet.summary()),
        layers="\n".join(_layers(frame.packet)),
        dump="\n".join(_dump(frame)),
        claims=claims,
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
    """Yield the first lines of a payload while they are text, then the payload's length if there is more."""
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
