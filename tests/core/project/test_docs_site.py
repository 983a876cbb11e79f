"""The pages of the documentation site, and the check of its links; the whole build is a slow test."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_site", REPOSITORY / "scripts" / "docs_site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_site"] = module
    spec.loader.exec_module(module)
    return module


def names(part: object) -> list[str]:
    """The pages of a part of the navigation."""
    if isinstance(part, str):
        return [part]
    parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [name for each in parts for name in names(each)]


def test_every_guide_is_in_the_navigation() -> None:
    # The file's own tags for Python objects are not needed here.
    navigation = names(yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())["nav"])
    guides = {path.name for path in (REPOSITORY / "docs").glob("*.md")} - {"README.md"}
    assert guides - set(navigation) == set()


def test_pages_lead_to_each_other(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "PAGES", tmp_path)
    script.guides()
    assert "(clocks.md)" in (tmp_path / "index.md").read_text()
    assert "](examples/index.md)" in "".join(path.read_text() for path in tmp_path.glob("*.md"))
    assert "elsewhere=" not in (tmp_path / "platforms.md").read_text()
    assert (tmp_path / "examples" / "time" / "time_server.py").exists()
    assert "class " in (tmp_path / "examples" / "time" / "index.md").read_text()


def test_a_claim_has_a_page_with_its_decider(script: ModuleType) -> None:
    page = script.claim_page(script.known_claims()["D7"], ["dns-resolution"], None)
    assert page.startswith("# D7: DNS\n")
    assert "$ lab7 run dns-resolution" in page
    assert "Decided in `experiments/dns/claims/resolution.py:" in page


def test_broken_links_and_anchors_are_found(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there">x</a><a href="b.html#gone">x</a><a href="c.html">x</a><a href="https://example.org">x</a>'
        '<img src="p.png"><a href="#here" id="here">x</a>'
    )
    (tmp_path / "b.html").write_text('<h1 id="there">x</h1>')
    assert script.broken_links(tmp_path) == ["a.html: b.html#gone", "a.html: c.html", "a.html: p.png"]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="mkdocs is not installed: make docs")
@pytest.mark.skipif(importlib.util.find_spec("mkdocstrings") is None, reason="mkdocstrings is not installed: make docs")
def test_the_site_is_built_without_a_warning_and_its_search_is_on_disk(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages, site = tmp_path / "docs", tmp_path / "site"
    monkeypatch.setattr(script, "PAGES", pages)
    for write in (script.guides, lambda: script.claims(None), script.commands, script.flags, script.api):
        write()
    settings = (REPOSITORY / "mkdocs.yml").read_text()
    settings = settings.replace("build/docs", str(pages)).replace("build/site", str(site))
    (tmp_path / "mkdocs.yml").write_text(settings.replace('paths: ["."]', f"paths: [{str(REPOSITORY)!r}]"))
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(tmp_path / "mkdocs.yml")],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    assert script.broken_links(site) == []
    # A browser loads a script from disk, but no JSON.
    index = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    for word in ("time-travel", "RFC 9112", "--trust-anchor", "open_run", "The server is stateless"):
        assert word in index, word
    scripts = re.findall(r'<(?:script|link)[^>]*(?:src|href)="(https?:[^"]*)"', (site / "index.html").read_text())
    assert scripts == []
