#!/usr/bin/env python3
"""RFC index: each RFC section cited in docstrings and comments, and the places (file:line) that cite the section.

    scripts/rfc_index.py              print docs/rfc-index.md
    scripts/rfc_index.py --write      write it

A reference is read in the forms `RFC 9112 section 6.1`, `RFC 9112 sections 6.1, 6.2 and 6.3` and `RFC 9112`.
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
INDEX = REPOSITORY / "docs" / "rfc-index.md"
PACKAGES = ("services", "topologies", "experiments")
# Match section numbers like 5.4.1 or appendices like A.2, without the full stop of a sentence.
SECTION = r"(?:\d+(?:\.\d+)*|[A-Z](?:\.\d+)+)"
REFERENCE = re.compile(
    rf"RFC\s+(?P<rfc>\d{{3,5}})(?:,?\s+(?:sections?|appendix)\s+(?P<sections>{SECTION}(?:(?:,\s+|\s+and\s+|,\s+and\s+|\s+to\s+){SECTION})*))?"
)
HEADING = """# RFC index

Sections of RFCs, and the lines of code that cite them. Made by `scripts/rfc_index.py --write` from docstrings and
comments; a test compares.
"""


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield (first line number, text) of each comment block and each string in a module."""
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if block and token.start[0] == last + 1:
                block.append(token.string.lstrip("#").strip())
            else:
                if block:
                    yield first, "\n".join(block)
                block, first = [token.string.lstrip("#").strip()], token.start[0]
            last = token.start[0]
        elif token.type == tokenize.STRING and token.string.endswith('"""'):
            yield token.start[0], token.string
    if block:
        yield first, "\n".join(block)


def references(source: str) -> Iterator[tuple[int, str, int]]:
    """Yield (RFC number, section or "", line) for each reference in a module."""
    for first, text in texts(source):
        for match in REFERENCE.finditer(text):
            line = first + text.count("\n", 0, match.start())
            for section in re.findall(SECTION, match["sections"] or "") or [""]:
                yield int(match["rfc"]), section, line


def index() -> str:
    """Return the text of docs/rfc-index.md."""
    found: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for package in PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            for rfc, section, line in references(path.read_text(encoding="utf-8")):
                place = f"{path.relative_to(REPOSITORY)}:{line}"
                if place not in found[rfc][section]:
                    found[rfc][section].append(place)
    pieces = [HEADING]
    for rfc in sorted(found):
        pieces += [f"\n## RFC {rfc}\n", "| section | cited in |", "|---|---|"]
        pieces += [
            f"| {section or 'whole'} | {', '.join(found[rfc][section])} |" for section in sorted(found[rfc], key=_order)
        ]
    return "\n".join(pieces) + "\n"


def _order(section: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (1 << 20, part) for part in section.split(".") if part]


def main(arguments: list[str]) -> int:
    """Print or write the RFC index; return the exit code."""
    if arguments not in ([], ["--write"]):
        print(f"usage: {Path(sys.argv[0]).name} [--write]", file=sys.stderr)
        return 2
    if arguments:
        INDEX.write_text(index(), encoding="utf-8")
    else:
        print(index(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
