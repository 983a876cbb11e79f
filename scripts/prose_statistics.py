#!/usr/bin/env python3
"""Word statistics of docstrings and comments: pronouns for persons, free relatives, domain verbs, wh-words.

    scripts/prose_statistics.py [PACKAGE ...]      services, topologies and experiments if none is given

Each figure is printed beside its range in comparable projects (h11, dnspython, httpcore, pymap, Mininet, aioquic,
Kathara, httpx). Exits with 1 if a figure lies outside its range.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("services", "topologies", "experiments")
WORD = re.compile(r"[A-Za-z']+")
WH_WORD = re.compile(r"(What|Who|Whoever|Whom|Whose|Where|Whether|How|Which|When|Why)\b")
# Name of a word pattern -> (regular expression, minimum and maximum number of occurrences per 1,000 words).
FREQUENCIES = {
    "pronouns for persons": (r"\b(nobody|somebody|everybody|anybody|whoever|whom|who)\b", 0.0, 0.3),
    "free relatives": (r"\b(what|whatever|which of)\b", 0.0, 2.0),
    "domain verbs": (
        r"\b(pars\w+|encod\w+|decod\w+|seriali\w+|handl\w+|dispatch\w*|buffer\w*|schedul\w+|retr(?:y|ies)|validat\w+"
        r"|resolv\w+)\b",
        4.0,
        21.0,
    ),
}
# Of 100 docstrings.
MODULES_MAX, FUNCTIONS_MAX = 0.0, 0.6


@dataclass
class Prose:
    """Text of several modules: all docstrings and comments, and the first line of each docstring by module."""

    text: list[str] = field(default_factory=list)
    modules: list[tuple[Path, str]] = field(default_factory=list)
    functions: list[tuple[Path, str]] = field(default_factory=list)

    def add(self, path: Path) -> None:
        """Add the docstrings and comment lines of a module."""
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if docstring := ast.get_docstring(node):
                self.text.append(docstring)
                first = docstring.strip().split("\n", 1)[0]
                (self.modules if isinstance(node, ast.Module) else self.functions).append((path, first))
        self.text += [line.strip()[1:] for line in source.splitlines() if line.strip().startswith("#")]

    def frequencies(self) -> dict[str, float]:
        """Return the occurrences per 1,000 words of each word pattern in FREQUENCIES."""
        whole = " ".join(self.text)
        words = max(1, len(WORD.findall(whole)))
        return {
            name: 1000 * len(re.findall(pattern, whole, re.IGNORECASE)) / words
            for name, (pattern, _, _) in FREQUENCIES.items()
        }


def wh_words(first_lines: Iterable[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """Return the docstrings that start with a wh-word, such as `Which`."""
    return [(path, line) for path, line in first_lines if WH_WORD.match(line)]


def prose(packages: Iterable[str] = PACKAGES) -> Prose:
    """Return the docstrings and comments of these packages of the repository."""
    found = Prose()
    for package in packages:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            found.add(path)
    return found


def violations(found: Prose) -> Iterator[str]:
    """Yield a sentence for each frequency outside the range in FREQUENCIES, or above its maximum."""
    for name, value in found.frequencies().items():
        _, low, high = FREQUENCIES[name]
        if not low <= value <= high:
            yield f"{name}: {value:.2f} per 1,000 words, {low:g} to {high:g} in comparable projects"
    for kind, lines, most in (("module", found.modules, MODULES_MAX), ("function", found.functions, FUNCTIONS_MAX)):
        wrong = wh_words(lines)
        if 100 * len(wrong) > most * len(lines):
            examples = "; ".join(f"{path.relative_to(REPOSITORY)}: {line}" for path, line in wrong[:5])
            yield f"{kind} docstrings that start with a wh-word: {len(wrong)} of {len(lines)} ({examples})"


def main(packages: list[str]) -> int:
    """Print the statistics of these packages; return the exit code."""
    found = prose(packages or PACKAGES)
    for name, value in found.frequencies().items():
        _, low, high = FREQUENCIES[name]
        print(f"{value:6.2f} per 1,000 words  {name} ({low:g} to {high:g})")
    for kind, lines in (("module", found.modules), ("function and class", found.functions)):
        print(f"{len(wh_words(lines)):6d} of {len(lines)} {kind} docstrings start with a wh-word")
    wrong = list(violations(found))
    for sentence in wrong:
        print(f"outside: {sentence}", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
