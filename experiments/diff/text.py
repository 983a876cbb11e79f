"""Text output of `lab7 diff`: the differences between two experiment runs in at most 80 columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from lab7.experiments.diff.intervals import METHOD, Difference
from lab7.experiments.diff.messages import MessageDifference, PlacedMessage
from lab7.experiments.diff.runs import Change, RunDifference, TimeDifference

WIDTH = 80
# Terms that moved by less than this in both runs are left out of the table.
SMALL_S = 1e-6


class _Folding(textwrap.TextWrapper):
    """Text wrapper that breaks lines at blanks, and lists of values (`0,1,2`) after a comma."""

    wordsep_simple_re = re.compile(r"(\s+|(?<=,)(?=\S))")


def render_difference(difference: RunDifference) -> str:
    """Return the difference of two runs as text, with a line end after each line."""
    lines = [f"A  {difference.folders[0]}", f"B  {difference.folders[1]}"]
    lines += _section("Settings", [_change(change) for change in difference.settings])
    lines += _section("Only in one run", [_change(change) for change in difference.only])
    lines += _section("Claims", [_change(change) for change in difference.claims])
    if difference.times:
        lines += ["", "Times in ms, B less A, interval", *_times(difference.times)]
    for one in difference.messages:
        lines += ["", *_messages(one)]
    lines += [f"Note: {note}" for note in difference.notes]
    lines += ["", "The runs differ." if difference.different else "The runs are the same."]
    if difference.times:
        lines.append(f"Interval: {METHOD}.")
    return "\n".join(part for line in lines for part in _folded(line)) + "\n"


def _folded(line: str) -> list[str]:
    if len(line) <= WIDTH:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 3)
    return _Folding(WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False).wrap(line)


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _change(change: Change) -> str:
    first, second = ("-" if value is None else value for value in (change.first, change.second))
    return f"{change.name}: {first} -> {second}"


def _times(times: tuple[TimeDifference, ...]) -> Iterator[str]:
    for time in times:
        mark = "differs" if time.differs else "same"
        counts = " and ".join(str(count) for count in time.samples)
        yield f"  {time.name} ({counts} samples): {mark}"
        yield _row("total", time.total)
        for name, term in time.terms.items():
            if abs(term.difference_s) >= SMALL_S:
                yield _row(name, term)


def _row(name: str, one: Difference) -> str:
    interval = "" if one.low_s is None or one.high_s is None else f"[{_ms(one.low_s)}, {_ms(one.high_s)}]"
    mark = " *" if one.excludes_zero else ""
    row = f"    {name[:17]:<17} {one.first_s * 1e3:>10.3f} {one.second_s * 1e3:>10.3f} {_ms(one.difference_s):>10}"
    return f"{row} {interval}{mark}".rstrip()


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:+z.3f}"


def _messages(one: MessageDifference) -> Iterator[str]:
    yield f"Messages of {one.capture}: {one.counts[0]} and {one.counts[1]}"
    if one.parting is None:
        yield "  the same messages" + (", in another order from here on:" if one.order else "")
        if one.order:
            yield from (f"  {name} {_message(message)}" for name, message in zip("AB", one.order, strict=True))
    else:
        if one.before is not None:
            yield f"  the last before they part: {_message(one.before)}"
        yield f"  only in {'A' if one.only_in == 'first' else 'B'}: {_message(one.parting)}"
    if one.moved:
        yield "  the first that left at another time:"
        yield from (f"  {name} {_message(message)}" for name, message in zip("AB", one.moved, strict=True))


def _message(message: PlacedMessage) -> str:
    return (
        f"{message.time_s * 1e3:.3f} ms, frame {message.frame}, {message.sender} to {message.receiver}, "
        f"{message.protocol.upper()} {message.label}"
    )
