"""Text renderings of a ladder diagram: for a terminal, with a lifeline per host, and as a Mermaid sequence diagram.

    ms         client                 proxy                  origin
        0.000  | GET /page/ --------->|                      |     5.001
        5.012  |                      | GET /page/ --------->|    20.140

A line of the terminal form is one message: its departure time in ms on the left, and its arrival time to the right of
the columns (lost: `lost`; not captured: `-`). A wait of a host stands in brackets before the message that ends it.
"""

from __future__ import annotations

from lab7.experiments.ladder.ladder import Arrow, Ladder
from lab7.experiments.ladder.messages import printable
from lab7.experiments.ladder.waits import Wait

COLUMN_MIN, COLUMN_MAX = 12, 44
TIME_WIDTH = 11
MERMAID = {";": ",", "#": "no. ", "%%": "% %", "\n": " ", "<": "(", ">": ")"}


def render_text(ladder: Ladder, width: int = 100) -> str:
    """Return the ladder as text lines of about `width` characters at most; labels that do not fit are shortened."""
    start_ns = ladder.arrows[0].sent_ns if ladder.arrows else 0
    gaps = max(len(ladder.columns) - 1, 1)
    room = (width - 2 * TIME_WIDTH - 4 - len(ladder.columns[-1] if ladder.columns else "")) // gaps
    column = min(max(room, COLUMN_MIN), COLUMN_MAX)
    head = "".join(printable(name).ljust(column)[: column - 1] + " " for name in ladder.columns)
    lines = [f"{'sent, ms':>{TIME_WIDTH}}  {head.rstrip()}"]
    waits = ladder.noticeable_waits()
    for place, arrow in enumerate(ladder.arrows):
        lines += [_wait_row(ladder, wait, column) for wait in waits.get(place, ())]
        if arrow.received_end_ns is not None:
            arrival = f"{(arrow.received_end_ns - start_ns) / 1e6:.3f}"
        else:
            arrival = "lost" if arrow.lost else "-"
        row = _row(arrow, len(ladder.columns), column)
        lines.append(f"{(arrow.sent_ns - start_ns) / 1e6:>{TIME_WIDTH}.3f}  {row} {arrival:>{TIME_WIDTH}}")
    return "\n".join([*lines, ""])


def _wait_words(wait: Wait) -> str:
    return f"{wait.length_ns / 1e6:.3f} ms {wait.cause}"


def _wait_row(ladder: Ladder, wait: Wait, width: int) -> str:
    """Return the line of a wait: length and cause beside the lifeline of the host, in brackets."""
    columns = len(ladder.columns)
    cells = list(("|" + " " * (width - 1)) * (columns - 1) + "|")
    place, words = ladder.columns.index(wait.host), f"({_wait_words(wait)})"
    # Beside the last lifeline there is no room on the right.
    at = place * width + 2 if place < columns - 1 else max(place * width - 1 - len(words), 1)
    _write(cells, at, words)
    return f"{'':>{TIME_WIDTH}}  {''.join(cells)}"


def _row(arrow: Arrow, columns: int, width: int) -> str:
    cells = list(("|" + " " * (width - 1)) * (columns - 1) + "|")
    if arrow.source == arrow.target:
        place = arrow.source * width
        _write(cells, place + 2, printable(arrow.words))
        return "".join(cells)
    low, high = sorted((arrow.source, arrow.target))
    span = (high - low) * width - 1
    label = arrow.label_within(span - 5)
    dash = "-" if arrow.level == "message" else "."
    end = "x" if arrow.lost else ">" if arrow.target > arrow.source else "<"
    if arrow.target > arrow.source:
        body = f" {label} ".ljust(span - 1, dash) + end
    else:
        body = end + f" {label} ".rjust(span - 1, dash)
    _write(cells, low * width + 1, body)
    return "".join(cells)


def _write(cells: list[str], place: int, text: str) -> None:
    for offset, character in enumerate(text):
        if place + offset < len(cells):
            cells[place + offset] = character


def render_mermaid(ladder: Ladder) -> str:
    """Return the ladder as a Mermaid sequence diagram, which GitHub and GitLab draw in Markdown."""
    start_ns = ladder.arrows[0].sent_ns if ladder.arrows else 0
    lines = ["sequenceDiagram"]
    lines += [f"    participant h{place} as {_plain(name)}" for place, name in enumerate(ladder.columns)]
    waits = ladder.noticeable_waits()
    for place, arrow in enumerate(ladder.arrows):
        for wait in waits.get(place, ()):
            lines.append(f"    Note over h{ladder.columns.index(wait.host)}: {_plain(_wait_words(wait))}")
        kind = "--x" if arrow.lost else "-->>" if arrow.response else "->>"
        times = f"{(arrow.sent_ns - start_ns) / 1e6:.3f}"
        if arrow.received_end_ns is not None:
            times += f" to {(arrow.received_end_ns - start_ns) / 1e6:.3f}"
        lines.append(f"    h{arrow.source}{kind}h{arrow.target}: {_plain(arrow.words)} ({times} ms)")
    return "\n".join([*lines, ""])


def _plain(text: str) -> str:
    """Replace the characters that have a meaning in Mermaid, such as semicolons, in a text."""
    for character, replacement in MERMAID.items():
        text = text.replace(character, replacement)
    return printable(text)
