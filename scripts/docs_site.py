#!/usr/bin/env python3
"""Pages of the documentation site, written into build/docs for MkDocs; and a check of the links of the built site.

    scripts/docs_site.py pages [RESULTS]     guides, claims (with times and ladders of the runs in RESULTS), references
    scripts/docs_site.py check               every link and anchor of build/site leads somewhere on disk

`make docs` does both, and MkDocs between them.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

# ruff: noqa: E402 - the path of the checkout comes first.
import click

from lab7 import services
from lab7.experiments import library, pytest_plugin
from lab7.experiments.harness import cli, experiment, parameters
from lab7.experiments.harness.catalogue.known_claims import known_claims
from lab7.experiments.harness.claims import Claim
from lab7.experiments.harness.discovery import all_experiments
from lab7.experiments.harness.judge import verdict
from lab7.experiments.harness.results.result import read_results
from lab7.experiments.library.run_result import RunResult
from lab7.experiments.testing import fixtures, judging
from lab7.experiments.testing import services as started_services
from lab7.topologies.emulation import node, shape, testbed

PAGES, SITE = REPOSITORY / "build" / "docs", REPOSITORY / "build" / "site"
ASSETS = REPOSITORY / "scripts" / "docs_assets"
# Pages of the top of the repository, and their names in the site.
TOP = {"README.md": "index.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "CHANGELOG.md": "CHANGELOG.md"}
# Modules of the Python reference, by heading.
MODULES = {
    "Runs and results": [library.__name__ + "." + name for name in ("runs", "run_result", "tables", "pictures")],
    "Tests": [pytest_plugin.__name__, fixtures.__name__, judging.__name__, started_services.__name__],
    "Networks": [testbed.__name__, node.__name__, shape.__name__],
    "Experiments": [experiment.__name__, parameters.__name__, verdict.__name__],
}
COLUMNS = "100"
LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
FENCE = re.compile(r"^(\s*```\w*) .*$", re.MULTILINE)
LANGUAGES = {".py": "python", ".yml": "yaml", ".toml": "toml", ".json": "json", ".sh": "bash"}


def write(name: str, text: str) -> None:
    """Write a page."""
    path = PAGES / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def copied(source: Path, name: str) -> None:
    """Write a page of the repository; its links lead to the pages of the site, marks of its blocks are left out."""

    def moved(match: re.Match[str]) -> str:
        before, target, anchor, after = match.groups()
        if urlsplit(target).scheme:
            return match.group()
        place = (source.parent / target).resolve()
        return f"{before}{relative(place, name)}{anchor or ''}{after}"

    write(name, LINK.sub(moved, FENCE.sub(r"\1", source.read_text(encoding="utf-8"))))


def relative(place: Path, page: str) -> str:
    """Return the link from a page to the page that a file or folder of the repository has become."""
    path = place.relative_to(REPOSITORY)
    if path == Path("docs/README.md"):
        target = Path("guides.md")
    elif str(path) in TOP:
        target = Path(TOP[str(path)])
    elif path.parts[0] == "docs":
        target = Path(*path.parts[1:])
    else:
        raise SystemExit(f"docs: {page} links to {path}, which is no page of the site")
    if place.is_dir():
        target = target / "index.md"
    return os.path.relpath(target, Path(page).parent)


def guides() -> None:
    """Write the guides, with the pictures and examples that they link to."""
    for name, page in TOP.items():
        copied(REPOSITORY / name, page)
    for source in sorted((REPOSITORY / "docs").rglob("*.md")):
        path = source.relative_to(REPOSITORY / "docs")
        copied(source, "guides.md" if str(path) == "README.md" else str(path))
    for picture in (REPOSITORY / "docs").glob("*.png"):
        shutil.copy(picture, PAGES)
    shutil.copytree(ASSETS, PAGES / "assets", dirs_exist_ok=True)
    examples(REPOSITORY / "docs" / "examples")


def examples(folder: Path) -> None:
    """Write a page with the files of a folder of examples, and copy the files; the same for the folders in it."""
    name = folder.relative_to(REPOSITORY / "docs")
    lines = [f"# {'Examples' if folder.name == 'examples' else folder.name}", ""]
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name != "__pycache__"]
    lines += [f"- [{path.name}]({path.name}/index.md)" for path in inner]
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        (PAGES / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, PAGES / name)
        lines += ["", f"## {path.name}", "", f"[{path.name}]({path.name})"]
        if language := LANGUAGES.get(path.suffix):
            lines += ["", f"```{language}", path.read_text(encoding="utf-8").rstrip(), "```"]
    write(str(name / "index.md"), "\n".join([*lines, ""]))
    for path in inner:
        examples(path)


def claims(results: Path | None) -> None:
    """Write one page per claim, and their list."""
    known, every = known_claims(), all_experiments()
    latest: dict[str, RunResult] = {}
    for folder, result in read_results(results) if results is not None and results.is_dir() else ():
        latest |= {claim.id: RunResult(folder, result) for claim in result.claims}
    lines = ["# Claims", "", "| claim | statement | experiments |", "|---|---|---|"]
    for claim in known.values():
        names = [name for name, one in every.items() if claim.id in one.claims]
        lines.append(f"| [{claim.id}]({claim.id}.md) | {claim.statement} | {', '.join(names)} |")
        write(f"claims/{claim.id}.md", claim_page(claim, names, latest.get(claim.id)))
    write("claims/index.md", "\n".join([*lines, ""]))


def claim_page(claim: Claim, experiments: list[str], run: RunResult | None) -> str:
    """Return the page of a claim; with a run, also its verdict, the formulas of its times, and the ladder."""
    lines = [f"# {claim.id}: {claim.group}", "", claim.statement, "", f"**Decided by:** {claim.check}.", ""]
    if experiments:
        lines += ["```console", *(f"$ lab7 run {name}" for name in experiments), "```", ""]
    lines += [f"Decided in `{path}`: {text}\n" for path, text in deciders(claim.id)]
    if run is None:
        return "\n".join(lines)
    found = run.claims[claim.id]
    lines += [f"## In a run of {run.experiment}", "", f"**{found.verdict}:** {found.evidence}", ""]
    if run.result.comparisons:
        lines += ["| time | formula | theory, ms | measured, ms | source |", "|---|---|---|---|---|"]
        lines += [
            f"| {one.name} | {one.formula} | {one.theory_s * 1e3:.2f} | {one.measured_s * 1e3:.2f} | {one.source} |"
            for one in run.result.comparisons
        ]
        lines.append("")
    picture = run.ladder(claim.id) if found.frames and run.captures else None
    if picture is not None and picture.svg:
        (PAGES / "claims").mkdir(parents=True, exist_ok=True)
        picture.save(PAGES / "claims" / f"{claim.id}.svg")
        lines += [f"The messages that its evidence cites: ![ladder diagram]({claim.id}.svg)", ""]
    return "\n".join(lines)


def deciders(claim: str) -> Iterator[tuple[str, str]]:
    """Yield (file and line, first line of the docstring) of the functions that decide a claim."""
    mark = re.compile(rf'^@decides\("{claim}"\)\ndef \w+\((?:.|\n)*?"""(.*)', re.MULTILINE)
    for path in sorted((REPOSITORY / "experiments").glob("*/claims/*.py")):
        text = path.read_text(encoding="utf-8")
        for match in mark.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path.relative_to(REPOSITORY)}:{line}", match.group(1).removesuffix('"""')


def commands() -> None:
    """Write the help texts of all lab7 commands."""
    lines = ["# Commands", ""]
    with click.Context(cli.lab7, info_name="lab7", max_content_width=int(COLUMNS)) as parent:
        lines += ["```text", cli.lab7.get_help(parent), "```", ""]
        for name in cli.COMMANDS:
            command = cli.load_command(name)
            with click.Context(command, parent=parent, info_name=name, max_content_width=int(COLUMNS)) as context:
                lines += [f"## lab7 {name}", "", "```text", command.get_help(context), "```", ""]
    write("commands.md", "\n".join(lines))


def flags() -> None:
    """Write the help texts of all service programs."""
    lines = ["# Services", "", "Each runs on any machine: `python -m lab7.services.dns.resolver --port 5353`.", ""]
    root = REPOSITORY / "services"
    for path in sorted(root.rglob("*.py")):
        if '__name__ == "__main__"' not in path.read_text(encoding="utf-8"):
            continue
        parts = path.relative_to(root).with_suffix("").parts
        module = ".".join([services.__name__, *(parts[:-1] if parts[-1] == "__main__" else parts)])
        done = subprocess.run(
            [sys.executable, "-m", module, "--help"],
            cwd=REPOSITORY,
            env={**os.environ, "COLUMNS": COLUMNS},
            capture_output=True,
            text=True,
            check=True,
        )
        lines += [f"## {module}", "", "```text", done.stdout.rstrip(), "```", ""]
    write("services.md", "\n".join(lines))


def api() -> None:
    """Write the page of the Python reference, which mkdocstrings fills."""
    lines = ["# Python reference", ""]
    for heading, names in MODULES.items():
        lines += [f"## {heading}", ""]
        lines += [f"::: {name}\n" for name in names]
    write("api.md", "\n".join(lines))


class Links(HTMLParser):
    """Links and anchors of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the targets and ids of a tag."""
        for name, value in attrs:
            if value and name in ("href", "src") and not (tag == "link" and ("rel", "canonical") in attrs):
                self.links.append(value)
            elif value and name in ("id", "name"):
                self.anchors.add(value)


def broken_links(site: Path) -> list[str]:
    """Return the links of the pages below `site` that lead nowhere on disk: `PAGE: TARGET`."""
    pages: dict[Path, Links] = {}
    for path in sorted(site.rglob("*.html")):
        pages[path] = Links()
        pages[path].feed(path.read_text(encoding="utf-8"))
    found = []
    for path, page in pages.items():
        # The page of errors is for web servers, with addresses from the root of a site.
        for link in page.links if path.name != "404.html" else ():
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            missing = not target.exists() or target.is_dir()
            anchor = unquote(parts.fragment)
            if missing or (anchor and target in pages and anchor not in pages[target].anchors):
                found.append(f"{path.relative_to(site)}: {link}")
    return found


def main() -> int:
    """Write the pages, or check the site; return 1 for broken links."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("pages", "check"))
    parser.add_argument("results", nargs="?", type=Path, help="folder of results for the pages of the claims")
    arguments = parser.parse_args()
    if arguments.what == "check":
        broken = broken_links(SITE)
        for one in broken:
            print(f"docs: this link leads nowhere: {one}", file=sys.stderr)
        return 1 if broken else 0
    shutil.rmtree(PAGES, ignore_errors=True)
    guides()
    claims(arguments.results)
    commands()
    flags()
    api()
    return 0


if __name__ == "__main__":
    sys.exit(main())
