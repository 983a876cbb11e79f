"""The page shows the result, is self-contained, and escapes hostile text."""

from __future__ import annotations

import builtins
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.harness.claims import load_claims
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.report.page import render_report, term_rows, write_index, write_report
from lab7.experiments.harness.results.result import Check, Comparison, Fidelity, Files, Timing, new_folder
from lab7.experiments.harness.results.terms import MEANINGS
from lab7.experiments.harness.theory.tcp import Theory
from tests.core.experiments.harness.samples import sample_result

HOSTILE = "<script>alert('x')</script>&\"]]>"


def test_the_page_opens_with_the_claims_and_their_verdicts() -> None:
    page = render_report(sample_result(), load_claims())
    assert page.index("pipelined requests") < page.index("Measured against theory")
    assert "Three requests back to back." in page
    assert "[frames 5, 6, 7]" in page
    assert "tcpdump --number -nn -r capture.pcapng" in page
    assert "The emulation is valid" in page


def test_a_suspect_run_says_so_and_why() -> None:
    checks = (Check("rate", "10 Mbit/s", "3 Mbit/s", "suspect"), Check("loss", "0", "0", "valid"))
    page = render_report(sample_result(fidelity=Fidelity("suspect", checks)), load_claims())
    assert re.search(r"The emulation is suspect:\s+rate\.", page)
    assert "The emulation is valid" not in page


def test_the_page_makes_no_request() -> None:
    pytest.importorskip("matplotlib")
    page = render_report(sample_result(), load_claims())
    assert "<svg" in page
    # Names of XML namespaces are the only URLs, and are not fetched.
    bare = re.sub(r'(xmlns(:\w+)?|rdf:\w+)="[^"]*"', "", page)
    assert not re.search(r"(src|href)=\"(https?:)?//|url\(\s*['\"]?http|@import|<script|<link", bare)


def test_hostile_text_stays_text() -> None:
    result = sample_result(
        experiment=HOSTILE,
        question=HOSTILE,
        parameters={HOSTILE: HOSTILE},
        implementations={HOSTILE: HOSTILE},
        claims=(Verdict(HOSTILE, "failed", HOSTILE, (1,)),),
        comparisons=tuple(
            dataclasses.replace(one, name=HOSTILE, formula=HOSTILE, source=HOSTILE, terms={HOSTILE: 0.3})
            for one in sample_result().comparisons
        ),
        fidelity=Fidelity("suspect", (Check(HOSTILE, HOSTILE, HOSTILE, "suspect"),)),
        files=Files(HOSTILE, HOSTILE, HOSTILE),
    )
    page = render_report(result, load_claims())
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "]]>" not in page


def test_without_matplotlib_the_page_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def no_matplotlib(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    page = render_report(sample_result(), load_claims())
    assert 'class="plot' not in page
    assert "pip install matplotlib" in page
    assert "310.0" in page


def corrected() -> Comparison:
    """Return a comparison with a term of 0, and with a negative correction that only theory has."""
    theory = Theory(0.1, {"tcp_handshake": 0.05, "request": 0.05, "dns": 0.0}, "2 RTT", "RFC 9112")
    sample = Timing(0.0993, {"tcp_handshake": 0.0497, "request": 0.0496, "dns": 0.0, "residual": 0.0})
    return Comparison.of("page", [sample], theory.plus({"acknowledgements": -0.0007}), 0.1)


def test_the_terms_of_the_table_add_up_and_are_explained() -> None:
    page = render_report(sample_result(comparisons=(corrected(),)), {})
    table = page[page.index("<h2>Term by term</h2>") :]
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table[: table.index("</table>")].split("<tr")[2:]]
    figures = {
        row[0]: [float(text.replace("\N{MINUS SIGN}", "-").strip("\N{EN DASH}") or 0) for text in row[1:4]]
        for row in cells
    }
    total = figures.pop("total")
    assert [sum(column) for column in zip(*figures.values(), strict=True)] == pytest.approx(total)
    assert total == [99.3, 99.3, 0.0]
    assert figures["acknowledgements"] == [0, -0.7, 0.7]
    assert f"<dt>acknowledgements</dt><dd>{MEANINGS['acknowledgements']}</dd>" in table


def test_the_guide_explains_every_term() -> None:
    guide = (Path(__file__).resolve().parents[4] / "docs" / "reports.md").read_text()
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", guide, re.MULTILINE))
    assert {name: rows.get(name) for name in MEANINGS} == dict(MEANINGS)


def test_the_term_that_is_off_by_most_is_marked() -> None:
    rows = {row.name: row for row in term_rows(sample_result().comparisons[0])}
    assert rows["residual"].furthest
    assert rows["residual"].difference_s == pytest.approx(0.01)
    assert [row.name for row in rows.values() if row.furthest] == ["residual"]
    assert "transmission" not in rows


def exact(difference_s: float, tolerance: float = 0.1) -> Comparison:
    """Return a comparison with theory of 100 ms, of which a term of theory has no measured time."""
    theory = Theory(0.1, {"request": 0.1 - difference_s, "acknowledgements": difference_s}, "RTT", "RFC")
    return Comparison.of("exact", [Timing(0.1, {"request": 0.1, "residual": 0.0})], theory, tolerance)


def test_noise_in_a_time_that_agrees_with_theory_is_not_marked() -> None:
    assert not any(row.furthest for row in term_rows(exact(0.0007)))
    assert any(row.furthest for row in term_rows(exact(0.02)))
    off = dataclasses.replace(exact(0.0007), ratio=1.5)
    assert any(row.furthest for row in term_rows(off))


def test_a_difference_that_rounds_to_zero_has_no_sign() -> None:
    page = render_report(sample_result(comparisons=(exact(-0.00001),)), load_claims())
    assert "\N{MINUS SIGN}0.0<" not in page
    assert "-0.0<" not in page


def test_the_same_result_gives_the_same_page() -> None:
    assert render_report(sample_result(), load_claims()) == render_report(sample_result(), load_claims())


def test_a_result_without_claims_or_figures_still_has_a_page() -> None:
    page = render_report(sample_result(claims=(), comparisons=(), files=Files()), {})
    assert "judges no claim" in page
    assert "kept no capture" in page


def test_the_index_links_every_run_and_lists_every_claim(tmp_path: Path) -> None:
    claims = load_claims()
    folder = new_folder(tmp_path, "http_versions")
    result = sample_result(fidelity=Fidelity("suspect"))
    result.save(folder)
    write_report(folder, result, claims)
    page = write_index(tmp_path, claims).read_text(encoding="utf-8")
    assert f'href="http_versions/{folder.name}/report.html"' in page
    assert all(f'<span class="id">{name}</span>' in page for name in claims)
    assert "1 of 69 claims" in page
    assert "suspect run" in page


def test_the_index_counts_the_claims_that_an_experiment_declares(tmp_path: Path) -> None:
    own = tuple(Verdict(name, "shown", "It was captured.", (1,)) for name in ("K1", "K2", "K3"))
    sample_result(experiment="http-keep-alive", claims=own).save(new_folder(tmp_path, "http-keep-alive"))
    page = write_index(tmp_path, load_claims()).read_text(encoding="utf-8")
    assert "3 of 72 claims have been judged" in page
    assert re.search(r">\s*3 shown", page)


def test_the_index_links_the_report_of_each_sweep(tmp_path: Path) -> None:
    for name in ("rtt", "no-report"):
        (tmp_path / "sweeps" / name).mkdir(parents=True)
    (tmp_path / "sweeps" / "rtt" / "report.html").write_text("")
    page = write_index(tmp_path, load_claims()).read_text(encoding="utf-8")
    assert '<h2 id="sweeps">Sweeps</h2>' in page
    assert re.findall(r'href="(sweeps/.*?)"', page) == ["sweeps/rtt/report.html"]


def test_an_index_of_nothing_says_so(tmp_path: Path) -> None:
    assert "No experiment has been run yet" in write_index(tmp_path, load_claims()).read_text(encoding="utf-8")


def test_the_index_opens_with_the_claims_each_with_a_link_to_the_report_of_its_run(tmp_path: Path) -> None:
    folder = new_folder(tmp_path, "http-versions")
    result = sample_result(files=Files("capture.pcapng", "timings.csv", "report.html"))
    result.save(folder)
    page = write_index(tmp_path, load_claims()).read_text(encoding="utf-8")
    assert page.index('id="claim-') < page.index('id="runs"')
    claim = result.claims[0].id
    assert f'href="{folder.relative_to(tmp_path).as_posix()}/report.html#claim-{claim}"' in page
    assert "<table" not in page


@pytest.mark.parametrize(("verdict", "opened"), [("shown", False), ("failed", True), ("undecided", True)])
def test_the_index_opens_the_evidence_of_claims_that_are_not_shown(tmp_path: Path, verdict: str, opened: bool) -> None:
    claim = Verdict("H5", verdict, "Because.", (1,))  # type: ignore[arg-type]
    sample_result(claims=(claim,)).save(new_folder(tmp_path, "http-versions"))
    page = write_index(tmp_path, load_claims()).read_text(encoding="utf-8")
    assert ("<details open>" in page) is opened
