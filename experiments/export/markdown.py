"""Summary of an experiment run in Markdown: verdicts on claims, measured times, a sequence diagram in Mermaid.

A claim is a statement about a protocol that the run's packets confirm or contradict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lab7.experiments.harness.capture.pcapng import CaptureReadError
from lab7.experiments.harness.claims import Claim
from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.harness.judge.verdict import evidence_of
from lab7.experiments.harness.results.result import Result
from lab7.experiments.ladder.ladder import ladder_of
from lab7.experiments.ladder.text import render_mermaid

# Maximum number of arrows: GitHub draws no Mermaid diagram above 50,000 characters, and more are hard to read.
ARROWS = 20
SIGNS = {"shown": "\N{HEAVY CHECK MARK}", "failed": "\N{HEAVY MULTIPLICATION X}", "undecided": "?"}
# Characters with a meaning within a cell of a table.
_ESCAPES = str.maketrans({"|": "\\|", "\n": " ", "<": "&lt;", ">": "&gt;", "*": "\\*", "_": "\\_", "`": "\\`"})


def markdown_of(folder: Path, result: Result, claims: Mapping[str, Claim]) -> str:
    """Return a run's summary in Markdown; `folder` is the run's folder, with the captures for the sequence diagram."""
    words = [claim.verdict for claim in result.claims]
    programs = ", ".join(f"{role}: {name}" for role, name in result.implementations.items())
    lines = [
        f"## {result.experiment}: {words.count('shown')} of {len(words)} claims shown",
        "",
        f"{_cell(result.question)} {_cell(programs)}. {_cell(result.clock.sentence(result.seed))}; "
        f"fidelity {result.fidelity.verdict}.",
        "",
        *_table(
            ["", "claim", "statement", "evidence"],
            [
                [
                    SIGNS[one.verdict],
                    one.id,
                    claims[one.id].statement if one.id in claims else "",
                    evidence_of(one, result.files.capture),
                ]
                for one in result.claims
            ],
        ),
    ]
    if result.violations:
        rows = [[one.rule, one.section, one.sentence] for one in result.violations]
        lines += ["### Message violations", "", *_table(["rule", "RFC", "the first one"], rows)]
    if result.comparisons:
        rows = [
            [one.name, f"{one.theory_s * 1e3:.2f}", f"{one.measured_s * 1e3:.2f}", f"{one.ratio:.4f}"]
            for one in result.comparisons
        ]
        lines += _table(["time", "theory, ms", "measured, ms", "ratio"], rows)
    return "\n".join([*lines, *_ladder(folder, result), ""])


def _ladder(folder: Path, result: Result) -> list[str]:
    if result.files.capture is None:
        return []
    try:
        ladder = ladder_of(read_capture(folder / result.files.capture))
    except (CaptureReadError, OSError):
        return []
    if not ladder.arrows:
        return []
    more = len(ladder.arrows) - ARROWS
    drawn = render_mermaid(ladder.with_arrows(ladder.arrows[:ARROWS]))
    left_out = ["", f"{more} more messages are in {result.files.capture}."] if more > 0 else []
    return ["<details><summary>first messages</summary>", "", "```mermaid", drawn + "```", *left_out, "", "</details>"]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *([_cell(cell) for cell in row] for row in rows)]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def _cell(text: str) -> str:
    return text.translate(_ESCAPES)
