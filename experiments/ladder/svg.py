"""SVG rendering of a ladder diagram: columns of hosts, sloping arrows, a time axis; readable without scripts.

An arrow is the area between the departure and the arrival of a message's first and last octet: its slope shows the
delay of the path, its thickness the transmission time. A lost message ends in a cross. Labels lie along their arrows,
above all of them. Times of departure are on the left, of arrival on the right; a wait of a host is a thick line in its
column, with length and cause. Colours are those of Okabe and Ito (Color Universal Design, 2008), and differ in
lightness in print; every arrow has its text as a tooltip.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from xml.sax import saxutils

from lab7.experiments.ladder.ladder import ELLIPSIS, Arrow, Ladder
from lab7.experiments.ladder.messages import printable
from lab7.experiments.ladder.time_axis import CUT_PX, DELAY_PX, LABEL_PX, Kind, TimeAxis
from lab7.experiments.ladder.waits import Wait

TOP_PX, BOTTOM_PX, LEFT_PX, MARGIN_PX = 64.0, 36.0, 92.0, 90.0
# Distance of two columns: as far as PAGE_PX has room for all of them, within these bounds; of two ladders side by side.
COLUMN_PX, COLUMN_PX_MIN, PAGE_PX, HALF_PAGE_PX = 300.0, 150.0, 940.0, 660.0
# The same for the screen of a phone, on which times, labels and names have less room.
PHONE_COLUMN_PX_MIN, PHONE_PAGE_PX, PHONE_MARGIN_PX = 72.0, 336.0, 34.0
# A diagram shrinks to this share of its size on a narrow screen; on an even narrower one it scrolls.
SHRINKS_TO = 0.8
# Arrows thinner than THIN_PX are drawn as a line of this width.
THIN_PX = 1.6
# Maximum number of grid lines; a longer ladder has none below the last.
GRID_LINES_MAX = 200
HEAD_PX = 8.0
# Arrow of a message without a known arrival: its slope in pixels, and the share of its way at which a loss is drawn.
SLOPE_PX, LOST_AT = 16.0, 0.62
CHARACTER_PX, NAME_CHARACTER_PX, TIME_CHARACTER_PX = 6.1, 7.6, 7.4
LABEL_CHARACTERS_MIN, PHONE_LABEL_CHARACTERS_MIN = 12, 5
# Least distance of two times of arrival, below which the later one is left to the tooltip; radius of a click.
ARRIVALS_PX, CLICK_PX = 11.0, 9
# Steeper labels are level, since they could not be read (degrees).
LABEL_ANGLE_MAX = 35.0
# Distances of a time from the first column, and of a label from the sender's.
TIME_GAP_PX, LABEL_GAP_PX = 12.0, 10.0
COLOURS = {
    "http": ("#0072B2", "#56B4E9"),
    "dns": ("#A8487F", "#DDA0C6"),
    "ftp": ("#9A6700", "#E69F00"),
    "smtp": ("#B24A00", "#F2995B"),
    "pop3": ("#00785A", "#3CCBA0"),
    "imap": ("#00785A", "#3CCBA0"),
    "tcp": ("#6B737C", "#A7AFB9"),
}
OTHER = ("#4B5661", "#C3CAD2")
# Colours of marks on light and on dark cards, each with a contrast of at least 4.5 (WCAG 2.2, 1.4.3).
MARK_COLOURS = (
    ("#0A58A8", "#86BDF5"),
    ("#A84300", "#F2995B"),
    ("#006B50", "#3CCBA0"),
    ("#7B3294", "#CFA3DD"),
    ("#7A4B00", "#E6B85C"),
    ("#9A3A70", "#DDA0C6"),
)
# Colour of waits on dark cards; STYLE has that on light ones.
WAIT_DARK = "#F2995B"
STYLE = """
svg.ladder { font: 11.5px/1 system-ui, "Segoe UI", Roboto, Arial, sans-serif; background: var(--card, #fff); }
.ladder text { fill: var(--ink, #1d2126); }
.ladder .host { font-weight: 700; font-size: 13px; text-anchor: middle; }
.ladder .life { stroke: var(--soft, #565e68); stroke-width: 1; }
.ladder .time, .ladder .cut text { fill: var(--soft, #565e68); font-variant-numeric: tabular-nums; text-anchor: end; }
.ladder .grid { stroke: var(--line, #dfe3e7); stroke-width: 1; }
.ladder .cut line { stroke: var(--soft, #565e68); stroke-dasharray: 1 4; }
.ladder .label, .ladder .wait text { paint-order: stroke; stroke: var(--card, #fff); stroke-width: 4px;
  stroke-linejoin: round; }
.ladder .arrived { fill: var(--soft, #565e68); font-variant-numeric: tabular-nums; font-size: 10.5px; }
.ladder .hit { fill: none; stroke: transparent; pointer-events: stroke; }
.ladder .wait line { stroke: var(--wait, #A84300); stroke-width: 5; }
.ladder .wait text { fill: var(--wait, #A84300); font-weight: 600; font-size: 11px; }
.ladder .message:hover .label, .ladder .message:focus .label { text-decoration: underline; }
.ladder .tcp .label { fill: var(--soft, #565e68); }
.ladder .tcp { font-size: 10.5px; }
.ladder .mark { font-weight: 700; }
.ladder a { text-decoration: none; }
"""


@dataclass(frozen=True)
class Drawing:
    """Options of an SVG ladder diagram: kind of the time axis, title, and additions to the arrows.

    `marks`: words, such as claim ids, to show at an arrow, keyed by the arrow's index in the ladder. `link`: function
    that returns the target of an arrow's hyperlink, or None. `grid_ns`: distance of grid lines in ns, 0 for none.
    `standalone`: True for a separate SVG file, whose style has light and dark colours. `phone`: True for the narrow
    form for the screen of a phone. `half`: True for one of two ladders side by side. `words`: additional CSS classes of
    the element. `delay_ns`: a typical delay in ns, which sets the scale of the time axis (None: that of this ladder).
    """

    kind: Kind = "fitted"
    title: str = "Messages between the hosts"
    marks: Mapping[int, Sequence[str]] | None = None
    link: Callable[[Arrow], str | None] | None = None
    grid_ns: int = 0
    standalone: bool = False
    phone: bool = False
    half: bool = False
    words: str = ""
    delay_ns: float | None = None


@dataclass(frozen=True)
class _Canvas:
    """Data that all parts of one drawing share, such as ladder, options, axis and layout."""

    ladder: Ladder
    options: Drawing
    axis: TimeAxis
    across: _Across
    waits: Mapping[int, Sequence[Wait]]

    @property
    def start_ns(self) -> int:
        """Return the time in ns at which the ladder begins."""
        return self.ladder.arrows[0].sent_ns

    @cached_property
    def arrivals(self) -> _Arrivals:
        """Column of an arrival and direction -> arrows in order of arrival (see _arrivals)."""
        return _arrivals(self.ladder)

    @cached_property
    def mark_numbers(self) -> Mapping[str, int]:
        """Word of a mark (such as a claim id) -> number of the colour in which the mark is drawn."""
        known = dict.fromkeys(word for some in (self.options.marks or {}).values() for word in some)
        return {word: number % len(MARK_COLOURS) for number, word in enumerate(known)}


def render_svg(ladder: Ladder, options: Drawing | None = None) -> str:
    """Return the ladder as an <svg> element. Raises ValueError for a ladder without arrows."""
    options = options or Drawing()
    if not ladder.arrows:
        raise ValueError("a ladder without messages cannot be drawn")
    waits = ladder.noticeable_waits()
    axis = _axis(ladder, options, waits)
    start_ns = ladder.arrows[0].sent_ns
    across = _Across(len(ladder.columns), options, _times_px(ladder, axis, start_ns) if options.phone else None)
    canvas = _Canvas(ladder, options, axis, across, waits)
    height = axis.bottom + BOTTOM_PX
    parts = [
        f'<svg class="{f"ladder {options.words}".rstrip()}" xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {across.width:.0f} {height:.0f}" '
        f'width="{across.width:.0f}" height="{height:.0f}" style="min-width: {SHRINKS_TO * across.width:.0f}px" '
        f'role="img" aria-label={_attribute(options.title)}>',
        f"<title>{_text(options.title)}</title>",
        f"<style>{_style(options.standalone)}</style>",
        *_background(canvas),
        *(_arrow(arrow, axis, across) for arrow in ladder.arrows),
        *(_wait(canvas, wait) for some in waits.values() for wait in some),
    ]
    left = Counter(arrow.sent_ns for arrow in ladder.arrows)
    for place, arrow in enumerate(ladder.arrows):
        # Labels of messages that left at the same time are above one another.
        left[arrow.sent_ns] -= 1
        parts += _message(canvas, place, arrow, left[arrow.sent_ns])
    if not across.narrow:
        parts += _arrival_times(canvas)
    return "\n".join([*parts, "</svg>", ""])


def _text(text: str) -> str:
    """Escape text for XML, and replace the characters that XML 1.0 forbids (section 2.2)."""
    return saxutils.escape(printable(text))


def _attribute(text: str) -> str:
    return saxutils.quoteattr(printable(text))


def describe(ladder: Ladder, arrow: Arrow, start_ns: int) -> str:
    """Describe an arrow in one sentence: hosts, label, times in ms since `start_ns`, frames at sender and receiver."""
    ends = f"{ladder.columns[arrow.source]} to {ladder.columns[arrow.target]}"
    sent = f"sent at {milliseconds(arrow.sent_ns - start_ns)} ms"
    if arrow.received_end_ns is None:
        arrival = "lost" if arrow.lost else "arrival not captured"
    else:
        arrival = f"received at {milliseconds(arrow.received_end_ns - start_ns)} ms"
    # A message has other frame numbers at the receiver's interface, and evidence may cite either.
    copies = [number for number in arrow.arrivals if number not in arrow.frames]
    frames = _frames(arrow.frames) + (f", at the receiver {_frames(copies)}" if copies else "")
    return f"{arrow.protocol.upper()}, {ends}: {arrow.words}; {sent}, {arrival}; {arrow.octets:,} octets, {frames}"


def _frames(numbers: Sequence[int]) -> str:
    return f"frame {numbers[0]}" if len(numbers) == 1 else f"frames {numbers[0]} to {numbers[-1]}"


def milliseconds(time_ns: int) -> str:
    """Return a time as text in ms, with three decimals."""
    return f"{time_ns / 1e6:,.3f}"


def _style(standalone: bool) -> str:
    named = {**COLOURS, "other": OTHER}
    light, dark = (
        "".join(f".ladder .{name} {{ --colour: {pair[place]}; }}\n" for name, pair in named.items())
        + "".join(f".ladder .mark-{at} {{ fill: {pair[place]}; }}\n" for at, pair in enumerate(MARK_COLOURS))
        for place in (0, 1)
    )
    variables = "svg.ladder { --card: #1d2126; --ink: #e8eaec; --soft: #a7afb9; --line: #343a42; }\n"
    dark += f"svg.ladder {{ --wait: {WAIT_DARK}; }}\n"
    return (
        STYLE
        + light
        + "@media (prefers-color-scheme: dark) {\n"
        + (variables if standalone else "")
        + dark
        + "}\n@media print { svg.ladder { --card: #fff; --ink: #000; } }\n"
    )


def typical_delay_ns(ladder: Ladder) -> float:
    """Return the median delay of the messages in ns, which sets the scale of the time axis; 0 without arrivals."""
    delays = [arrow.received_ns - arrow.sent_ns for arrow in ladder.arrows if arrow.received_ns is not None]
    return statistics.median([delay for delay in delays if delay > 0] or [0])


def effective_delay_ns(ladder: Ladder) -> float:
    """Return the delay in ns that sets the scale of a single ladder's time axis.

    It is the typical delay, or a longer one if a message is on its way for very long.
    """
    longest = max((arrow.flight_ns or 0 for arrow in ladder.arrows), default=0)
    return max(typical_delay_ns(ladder), longest * DELAY_PX / CUT_PX, 1.0)


def _axis(ladder: Ladder, options: Drawing, waits: Mapping[int, Sequence[Wait]]) -> TimeAxis:
    times = {arrow.sent_ns for arrow in ladder.arrows}
    for arrow in ladder.arrows:
        times |= {arrow.sent_end_ns, arrow.received_ns or arrow.sent_ns, arrow.received_end_ns or arrow.sent_ns}
    labels = Counter(arrow.sent_ns for arrow in ladder.arrows)
    top = TOP_PX + LABEL_PX * (labels[ladder.arrows[0].sent_ns] - 1)
    for wait in (one for some in waits.values() for one in some):
        times |= {wait.start_ns, wait.end_ns}
        labels[wait.end_ns] += 1
    delay_ns = typical_delay_ns(ladder) if options.delay_ns is None else options.delay_ns
    flights = [(arrow.sent_ns, arrow.end_ns) for arrow in ladder.arrows if arrow.received_end_ns is not None]
    return TimeAxis(times, labels, delay_ns, top, options.kind, flights)


class _Across:
    """Horizontal layout of a ladder diagram in pixels: positions of the columns, and total width.

    `times_px`: width of the times in the narrow form for a phone, None for the form of a page.
    """

    def __init__(self, columns: int, options: Drawing, times_px: float | None) -> None:
        self.narrow = times_px is not None
        self.left = LEFT_PX if times_px is None else times_px + TIME_GAP_PX
        self.label_min = PHONE_LABEL_CHARACTERS_MIN if self.narrow else LABEL_CHARACTERS_MIN
        self.margin = PHONE_MARGIN_PX if self.narrow else MARGIN_PX
        page, least = (HALF_PAGE_PX if options.half else PAGE_PX), COLUMN_PX_MIN
        if self.narrow:
            page, least = PHONE_PAGE_PX, PHONE_COLUMN_PX_MIN
        room = (page - self.left - self.margin) / max(columns - 1, 1)
        self.column = min(max(room, least), COLUMN_PX)
        self.width = self.left + self.column * (columns - 1) + self.margin

    def x(self, column: int) -> float:
        """Return the horizontal position of a column, in pixels."""
        return self.left + self.column * column


def _times_px(ladder: Ladder, axis: TimeAxis, start_ns: int) -> float:
    """Return the width in pixels of the longest text at the time axis."""
    times = [milliseconds(arrow.sent_ns - start_ns) for arrow in ladder.arrows]
    return TIME_CHARACTER_PX * max(map(len, [*times, *(f"+{milliseconds(cut.length_ns)}" for cut in axis.cuts)]))


def _names(ladder: Ladder, across: _Across) -> Iterator[str]:
    """Yield the hosts' names as SVG; names wider than a column are placed on two lines in turn, or shortened."""
    longest = max(map(len, ladder.columns)) * NAME_CHARACTER_PX
    lines = 1 if longest < across.column else 2
    room = int(lines * across.column / NAME_CHARACTER_PX)
    for place, name in enumerate(ladder.columns):
        text = name if len(name) <= room else name[: room - 1] + ELLIPSIS
        half = len(text) * NAME_CHARACTER_PX / 2
        x = max(min(across.x(place), across.width - half - 2), half + 2)
        yield f'<text class="host" x="{x:.1f}" y="{24 if lines == 1 else 12 + 16 * (place % 2)}">{_text(text)}</text>'


def _background(canvas: _Canvas) -> list[str]:
    ladder, axis, across, options = canvas.ladder, canvas.axis, canvas.across, canvas.options
    start_ns = canvas.start_ns
    right = across.x(len(ladder.columns) - 1)
    left = across.left
    parts = list(_names(ladder, across))
    for place in range(len(ladder.columns)):
        x = across.x(place)
        parts.append(f'<line class="life" x1="{x:.1f}" x2="{x:.1f}" y1="34" y2="{axis.bottom + 14:.1f}"/>')
    if options.grid_ns:
        end_ns = max(arrow.end_ns for arrow in ladder.arrows)
        for time_ns in range(start_ns, min(end_ns, start_ns + GRID_LINES_MAX * options.grid_ns) + 1, options.grid_ns):
            if any(0 < time_ns - cut.start_ns < cut.length_ns for cut in axis.cuts):
                continue
            y = axis.y(time_ns)
            parts.append(f'<line class="grid" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
    for cut in axis.cuts:
        parts.append(
            f'<g class="cut"><line x1="{left - 6:.1f}" x2="{right:.1f}" y1="{cut.y:.1f}" y2="{cut.y:.1f}"/>'
            f'<text x="{left - TIME_GAP_PX:.1f}" y="{cut.y + 4:.1f}">+{milliseconds(cut.length_ns)}</text></g>'
        )
    head = "ms" if across.narrow else "sent, ms"
    parts.append(f'<text class="time" x="{left - TIME_GAP_PX:.1f}" y="44">{head}</text>')
    return parts


def _arrival_times(canvas: _Canvas) -> Iterator[str]:
    """Yield the times of arrival at the right edge as SVG; of two times that would overlap, only the first."""
    x = canvas.across.x(len(canvas.ladder.columns) - 1) + TIME_GAP_PX
    times = sorted({arrow.received_end_ns for arrow in canvas.ladder.arrows if arrow.received_end_ns is not None})
    if not times:
        return
    yield f'<text class="arrived" x="{x:.1f}" y="44">arrived, ms</text>'
    free = 0.0
    for time_ns in times:
        y = canvas.axis.y(time_ns)
        if y >= free:
            yield f'<text class="arrived" x="{x:.1f}" y="{y + 4:.1f}">{milliseconds(time_ns - canvas.start_ns)}</text>'
            free = y + ARRIVALS_PX


def _wait(canvas: _Canvas, wait: Wait) -> str:
    """Return SVG for a wait of a host: a thick line in its column, with length and cause beside it."""
    place = canvas.ladder.columns.index(wait.host)
    x, start, end = canvas.across.x(place), canvas.axis.y(wait.start_ns), canvas.axis.y(wait.end_ns)
    # The last column has its text on the left, where it stays within the picture.
    is_last = place and place == len(canvas.ladder.columns) - 1
    beside, anchor = (x - LABEL_GAP_PX, ' text-anchor="end"') if is_last else (x + LABEL_GAP_PX, "")
    # The label of the message that leaves at the end is one line above it.
    y = min((start + end) / 2 + 4, end - LABEL_PX - 4)
    text = f"{milliseconds(wait.length_ns)} ms {wait.cause}"
    return (
        f'<g class="wait"><title>{_text(wait.host)}: {text}</title>'
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{start:.1f}" y2="{end:.1f}"/>'
        f'<text x="{beside:.1f}" y="{y:.1f}"{anchor}>{text}</text></g>'
    )


def _arrow(arrow: Arrow, axis: TimeAxis, across: _Across) -> str:
    return f'<g class="{_kind(arrow)}">{_shape(arrow, axis, across)}</g>'


def _kind(arrow: Arrow) -> str:
    return f"{arrow.protocol if arrow.protocol in COLOURS else 'other'} {arrow.level}"


def _message(canvas: _Canvas, place: int, arrow: Arrow, below: int) -> list[str]:
    """Return SVG for the texts of an arrow, and for the area that reacts to a pointer."""
    axis, across, options = canvas.axis, canvas.across, canvas.options
    target = options.link(arrow) if options.link is not None else None
    words = (options.marks or {}).get(place, ())
    text = describe(canvas.ladder, arrow, canvas.start_ns)
    opened = f"<a href={_attribute(target)}>" if target else ""
    start, end = across.x(arrow.source), across.x(arrow.target)
    way = f"M{start:.1f} {axis.y(arrow.sent_ns):.1f} L{end:.1f} {axis.y(arrow.end_ns):.1f}"
    marks = [(word, canvas.mark_numbers[word]) for word in words]
    time = ""
    if not below:
        left, y = across.left - TIME_GAP_PX, axis.y(arrow.sent_ns) + 4
        time = f'<text class="time" x="{left:.1f}" y="{y:.1f}">{milliseconds(arrow.sent_ns - canvas.start_ns)}</text>'
    return [
        f'<g class="message {_kind(arrow)}" id="message-{place + 1}">{opened}<title>{_text(text)}</title>',
        f'<path class="hit" d="{way}" stroke-width="{CLICK_PX}"/>',
        _label(canvas.arrivals, arrow, axis, across, marks, below),
        f"{time}{'</a>' if target else ''}</g>",
    ]


def _shape(arrow: Arrow, axis: TimeAxis, across: _Across) -> str:
    start, end = across.x(arrow.source), across.x(arrow.target)
    first, last = axis.y(arrow.sent_ns), axis.y(arrow.sent_end_ns)
    paint = 'stroke="var(--colour)"'
    if arrow.source == arrow.target:
        return f'<path d="M{start:.1f} {first:.1f} h26 v9 h-26" fill="none" {paint} stroke-width="{THIN_PX}"/>' + _head(
            start, first + 9, 1
        )
    side = 1 if end > start else -1
    if arrow.received_ns is None or arrow.received_end_ns is None:
        return _unreceived(arrow, start, end, first)
    arrives, complete = axis.y(arrow.received_ns), axis.y(arrow.received_end_ns)
    tip = end - side * HEAD_PX * 0.6
    if max(last - first, complete - arrives) < THIN_PX * 2:
        body = (
            f'<line x1="{start:.1f}" y1="{first:.1f}" x2="{tip:.1f}" y2="{arrives:.1f}" {paint} '
            f'stroke-width="{THIN_PX}"/>'
        )
    else:
        points = f"{start:.1f},{first:.1f} {end:.1f},{arrives:.1f} {end:.1f},{complete:.1f} {start:.1f},{last:.1f}"
        body = f'<polygon points="{points}" fill="var(--colour)" fill-opacity=".28" {paint} stroke-width="1"/>'
    return body + _head(end, complete, -side)


def _unreceived(arrow: Arrow, start: float, end: float, y: float) -> str:
    """Return SVG for a message without a captured arrival: a dashed line to the receiver's column.

    If the message was lost, the line ends before that column, in a cross.
    """
    side = 1 if end > start else -1
    across, down = (LOST_AT * (end - start), LOST_AT * SLOPE_PX) if arrow.lost else (end - start, SLOPE_PX)
    x, bottom = start + across, y + down
    tip = x if arrow.lost else x - side * HEAD_PX * 0.6
    line = (
        f'<line x1="{start:.1f}" y1="{y:.1f}" x2="{tip:.1f}" y2="{bottom:.1f}" stroke="var(--colour)" '
        f'stroke-width="{THIN_PX}" stroke-dasharray="6 4"/>'
    )
    if not arrow.lost:
        return line + _head(x, bottom, -side)
    return line + (
        f'<path class="lost" d="M{x - 6:.1f} {bottom - 6:.1f} l12 12 m0 -12 l-12 12" fill="none" '
        'stroke="var(--colour)" stroke-width="2.4"/>'
    )


def _head(x: float, y: float, back: int) -> str:
    """Return SVG for an arrow head with its tip at (x, y); `back` is -1 for an arrow to the right, else 1."""
    across = back * HEAD_PX
    return f'<path d="M{x:.1f} {y:.1f} l{across:.1f} -4 v8 z" fill="var(--colour)"/>'


# (column of arrival, True for arrows from the left) -> arrows in order of arrival.
_Arrivals = Mapping[tuple[int, bool], Sequence[Arrow]]


def _arrivals(ladder: Ladder) -> _Arrivals:
    """Return (column of the arrival, True for arrows from the left) -> arrows in order of arrival.

    Arrows without a captured arrival are left out.
    """
    found: dict[tuple[int, bool], list[Arrow]] = {}
    for arrow in sorted(ladder.arrows, key=lambda one: one.end_ns):
        if arrow.received_end_ns is not None:
            found.setdefault((arrow.target, arrow.source < arrow.target), []).append(arrow)
    return found


def _label(
    arrivals: _Arrivals, arrow: Arrow, axis: TimeAxis, across: _Across, marks: Sequence[tuple[str, int]], below: int
) -> str:
    """Return SVG for the text above an arrow: its marks as (word, colour number), then its label."""
    leftwards = arrow.target < arrow.source
    away, down = _beside_arrival(arrivals, arrow, axis, across)
    x = across.x(arrow.source) + (-away if leftwards else away)
    y = axis.y(arrow.sent_ns) + down - 4 - LABEL_PX * below
    anchor = ' text-anchor="end"' if leftwards else ""
    room = int((across.column * max(abs(arrow.target - arrow.source), 1) - away - 6) / CHARACTER_PX)
    room = max(room - sum(len(word) + 1 for word, _ in marks), across.label_min)
    label = arrow.label_within(room)
    angle = math.degrees(math.atan(_slope(arrow, axis, across))) * (-1 if leftwards else 1)
    turned = f' transform="rotate({angle:.1f} {x:.1f} {y:.1f})"' if 0 < abs(angle) <= LABEL_ANGLE_MAX else ""
    mark = "".join(f'<tspan class="mark mark-{colour}">{_text(word)} </tspan>' for word, colour in marks)
    return f'<text class="label" x="{x:.1f}" y="{y:.1f}"{anchor}{turned}>{mark}{_text(label)}</text>'


def _beside_arrival(arrivals: _Arrivals, arrow: Arrow, axis: TimeAxis, across: _Across) -> tuple[float, float]:
    """Return the place of an arrow's label: distance from the sender's column, and distance below the departure.

    If an arrow from the same side has just arrived there, the label is between the two arrows, where they are a line of
    text apart.
    """
    near, start = (LABEL_GAP_PX, 0.0), axis.y(arrow.sent_ns)
    side = arrow.target - arrow.source
    # The answered arrow comes from the side to which this one leads.
    before_it = arrivals.get((arrow.source, side < 0), ()) if side else ()
    place = bisect_right(before_it, arrow.sent_ns, key=lambda one: one.end_ns)
    if not place or start - axis.y(before_it[place - 1].end_ns) >= LABEL_PX:
        return near
    arrived = before_it[place - 1]
    own, before = (_slope(one, axis, across) for one in (arrow, arrived))
    lines = LABEL_PX + 4 - (start - axis.y(arrived.end_ns))
    length = across.column * abs(side)
    if (own + before) * length / 2 < lines:
        return near
    away = max(lines / (own + before), LABEL_GAP_PX)
    return away, own * away


def _slope(arrow: Arrow, axis: TimeAxis, across: _Across) -> float:
    """Return the slope of an arrow's last octet, in pixels down per pixel across."""
    arrives = arrow.sent_end_ns if arrow.received_end_ns is None else arrow.received_end_ns
    down = axis.y(arrives) - axis.y(arrow.sent_end_ns)
    return down / (across.column * max(abs(arrow.target - arrow.source), 1))
