"""Ladder diagrams as objects that a notebook displays as SVG, and print() as text."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from lab7.experiments.harness.results.atomic import write_atomically
from lab7.experiments.ladder.ladder import Ladder, ladder_of
from lab7.experiments.ladder.svg import Drawing, render_svg
from lab7.experiments.ladder.text import render_mermaid, render_text

# Arrows that a picture shows by default: more do not fit on a screen.
ARROWS = 30


@dataclass(frozen=True)
class LadderPicture:
    """Ladder diagram as SVG, as text for a terminal, and in Mermaid; `left_out` is the number of omitted messages."""

    ladder: Ladder
    title: str
    left_out: int = 0

    @cached_property
    def svg(self) -> str:
        """The diagram as an SVG; an empty string if the diagram has no message."""
        options = Drawing(title=self.title, standalone=True)
        return render_svg(self.ladder, options) if self.ladder.arrows else ""

    @cached_property
    def text(self) -> str:
        """The diagram as lines of text, one line per message."""
        return render_text(self.ladder) + (f"{self.left_out} more messages\n" if self.left_out else "")

    @cached_property
    def mermaid(self) -> str:
        """The diagram in Mermaid, which GitHub and GitLab draw in Markdown."""
        return render_mermaid(self.ladder)

    def save(self, path: str | Path) -> Path:
        """Write the diagram to a file in the format of its suffix (.svg, .txt, .md, .mmd).

        Raises ValueError for another suffix, OSError.
        """
        path = Path(path)
        texts = {".svg": self.svg, ".txt": self.text, ".md": f"```mermaid\n{self.mermaid}```\n", ".mmd": self.mermaid}
        if path.suffix not in texts:
            raise ValueError(f"{path}: the suffix of a ladder's file is one of {', '.join(texts)}")
        return write_atomically(path, texts[path.suffix])

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        more = f"<p>{self.left_out} more messages</p>" if self.left_out else ""
        return (self.svg or "<p>no message</p>") + more


def draw_ladder(
    capture: str | Path | CaptureFile,
    *,
    frames: Collection[int] = (),
    protocols: Collection[str] = (),
    first: int | None = ARROWS,
    tcp: bool = False,
    title: str = "",
) -> LadderPicture:
    """Return the ladder diagram of a capture, which is a file's path or a capture already read.

    `frames`: show only messages in at least one of these frames. `protocols`: show only messages of these protocols.
    `first`: maximum number of messages. `tcp`: also show TCP segments without a message. Raises CaptureReadError.
    """
    captured = capture if isinstance(capture, CaptureFile) else read_capture(Path(capture))
    ladder = ladder_of(captured, with_tcp=tcp or bool(frames))
    if frames:
        ladder = ladder.with_frames(frames)
    arrows = [arrow for arrow in ladder.arrows if not protocols or arrow.protocol in protocols]
    shown = arrows if first is None else arrows[:first]
    named = title or (Path(capture).name if not isinstance(capture, CaptureFile) else "Messages between the hosts")
    return LadderPicture(ladder.with_arrows(shown), named, len(arrows) - len(shown))
