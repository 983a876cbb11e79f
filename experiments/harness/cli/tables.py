"""Tables of the command line, laid out by the width of the terminal.

A table that fits has one line per row. In a narrower terminal, the longest texts are wrapped between words; if that is
not enough, each row becomes a block of lines. Numbers are never broken, and no line ends with blanks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions
from rich.text import Text

GAP = 2
INDENT = 4
# Columns of texts are not made narrower than this; the table is stacked instead.
TEXT_MIN = 20
# Columns up to this width, such as verdicts, stand beside the first cell of a stacked row, without their header.
SHORT = 12


@dataclass(frozen=True)
class Column:
    """Column of a table: header, cells, and True for numbers, which are aligned right and never wrapped."""

    header: str
    cells: tuple[Text, ...]
    number: bool

    @property
    def width(self) -> int:
        """Return the width of the widest line in the column, in characters of the terminal."""
        lines = [Text(self.header), *(line for cell in self.cells for line in cell.split("\n"))]
        return max(line.cell_len for line in lines)

    @property
    def least(self) -> int:
        """Return the minimum width: the width of the longest word, or for numbers and short texts the full width."""
        if self.number or self.width <= TEXT_MIN:
            return self.width
        words = [self.header, *(word for cell in self.cells for word in cell.plain.split())]
        return max(TEXT_MIN, *(Text(word).cell_len for word in words))


class Table:
    """Table for rich's console; cells may contain rich's markup, and the columns named in `right` have numbers."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
        texts = [[Text.from_markup(cell) for cell in row] for row in rows]
        self._columns = [
            Column(header, tuple(row[place] for row in texts), header in right) for place, header in enumerate(columns)
        ]
        self._rows = texts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Text]:
        """Yield the lines of the table for the width of the console."""
        widths = _widths(self._columns, options.max_width)
        if widths is None:
            yield from self._stacked(console, options.max_width)
            return
        yield _line([Text(column.header, "bold") for column in self._columns], self._columns, widths)
        for row in self._rows:
            cells = [_wrapped(console, cell, width) for cell, width in zip(row, widths, strict=True)]
            for number in range(max(len(lines) for lines in cells)):
                parts = [lines[number] if number < len(lines) else Text() for lines in cells]
                yield _line(parts, self._columns, widths)

    def _stacked(self, console: Console, width: int) -> Iterable[Text]:
        for row in self._rows:
            named = [(column, cell) for column, cell in zip(self._columns, row, strict=True) if cell.plain.strip()]
            short = [(column, cell) for column, cell in named[1:] if not column.number and column.width <= SHORT]
            others = [pair for pair in named[1:] if pair not in short]
            heading = named[0][1].copy()
            heading.stylize("bold")
            for line in _flowed([heading, *(cell for _, cell in short)], width):
                yield from map(_unbroken, _wrapped(console, line, width))
            numbers = [
                item
                for column, cell in others
                if column.number
                for item in _labelled_items(column, cell, width - INDENT)
            ]
            yield from (_indented(line) for line in _flowed(numbers, width - INDENT))
            for column, cell in others:
                if not column.number:
                    for line in _wrapped(console, _labelled(column, cell), width - INDENT):
                        yield _indented(line)


def _widths(columns: Sequence[Column], width: int) -> list[int] | None:
    """Return the widths of the columns, in total at most `width` with gaps; None if the columns do not fit."""
    found = [column.width for column in columns]
    excess = sum(found) + GAP * (len(columns) - 1) - width
    while excess > 0:
        # Narrow the widest column that can be, to the width of the next one.
        shrinkable = sorted(
            (place for place, one in enumerate(columns) if found[place] > one.least), key=lambda p: -found[p]
        )
        if not shrinkable:
            return None
        widest = shrinkable[0]
        next_width = found[shrinkable[1]] if len(shrinkable) > 1 else 0
        step = min(excess, found[widest] - columns[widest].least, max(1, found[widest] - next_width))
        found[widest] -= step
        excess -= step
    return found


def _wrapped(console: Console, cell: Text, width: int) -> list[Text]:
    """Return a cell's lines, broken between words to at most `width` characters; a longer word has its own line."""
    lines: list[Text] = []
    for line in cell.split("\n") or [Text()]:
        lines += line.wrap(console, max(width, *(Text(word).cell_len for word in line.plain.split() or [""]), 1))
    for line in lines:
        line.rstrip()
    return lines or [Text()]


def _line(parts: Sequence[Text], columns: Sequence[Column], widths: Sequence[int]) -> Text:
    line = Text()
    for place, (part, column, width) in enumerate(zip(parts, columns, widths, strict=True)):
        blanks = " " * (width - part.cell_len)
        line.append_text(Text(blanks) + part if column.number else part + Text(blanks))
        line.append(" " * GAP if place < len(columns) - 1 else "")
    line.rstrip()
    return _unbroken(line)


def _labelled(column: Column, cell: Text) -> Text:
    return Text(f"{column.header}: " if column.header else "") + cell


def _labelled_items(column: Column, cell: Text, width: int) -> list[Text]:
    """Return a cell as `HEADER: CELL`, or as two items (header, cell) if this is wider than `width`."""
    item = _labelled(column, cell)
    return [item] if item.cell_len <= width else [Text(f"{column.header}:"), cell]


def _flowed(items: Sequence[Text], width: int) -> list[Text]:
    """Pack items into lines of at most `width` characters, without breaking an item."""
    lines: list[Text] = []
    for item in items:
        if lines and lines[-1].cell_len + GAP + item.cell_len <= width:
            lines[-1] = lines[-1] + Text(" " * GAP) + item
        else:
            lines.append(item)
    return lines


def _indented(line: Text) -> Text:
    return _unbroken(Text(" " * INDENT) + line)


def _unbroken(line: Text) -> Text:
    line.no_wrap, line.overflow = True, "ignore"
    return line
