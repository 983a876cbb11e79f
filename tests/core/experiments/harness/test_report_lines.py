"""The line plot is one SVG that names its series, its axes and its panels."""

from __future__ import annotations

import builtins
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from lab7.experiments.harness.report.line_plots import COLOURS, Panel, Series, plot_lines


def series(name: str, refined: bool = False) -> Series:
    points = [(20.0, 65.0), (60.0, 190.0)]
    return Series(name, points, points, points if refined else ())


def panel(title: str, *some: Series) -> Panel:
    return Panel(title, "RTT in ms", "time in ms", some)


def plot(*panels: Panel, note: str = "points: measured") -> str:
    pytest.importorskip("matplotlib")
    text = plot_lines(panels, note)
    assert text is not None
    ElementTree.fromstring(text)
    return text


def words(text: str) -> list[str]:
    return [word.strip() for word in re.findall(r"<text[^>]*>([^<]*)</text>", text)]


def test_it_is_an_svg_with_every_name_in_it() -> None:
    text = plot(panel("3 objects", series("1.0-serial"), series("2-push")), panel("9 objects", series("1.0-serial")))
    assert text.startswith("<svg")
    said = words(text)
    for word in ("1.0-serial", "2-push", "3 objects", "9 objects", "RTT in ms", "time in ms", "points: measured"):
        assert word in said
    assert said.count("1.0-serial") == 1


def test_a_series_that_only_a_later_panel_has_is_named_and_keeps_its_colour() -> None:
    text = plot(panel("first", series("a")), panel("second", series("b")))
    assert {"a", "b"} <= set(words(text))
    for colour in COLOURS[:2]:
        assert colour.lower() in text


def test_only_a_refined_series_has_a_dashed_line() -> None:
    assert "stroke-dasharray" not in plot(panel("plain", series("a")))
    assert "stroke-dasharray" in plot(panel("bent", series("a", refined=True)))


def test_more_series_than_colours_are_all_named() -> None:
    names = [f"series {number}" for number in range(len(COLOURS) + 3)]
    assert set(names) <= set(words(plot(panel("many", *map(series, names)))))


def test_a_panel_without_series_or_points_is_drawn() -> None:
    assert "empty" in words(plot(panel("empty")))
    assert "hollow" in words(plot(panel("full", Series("hollow", [], [], []))))


def test_hostile_names_stay_text() -> None:
    text = plot(panel("<script>&", series("<script>alert(1)</script>")), note="</svg><script>")
    assert "<script" not in text


def test_the_same_points_give_the_same_plot() -> None:
    assert plot(panel("one", series("a"))) == plot(panel("one", series("a")))


def test_without_matplotlib_there_is_no_plot(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def no_matplotlib(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    assert plot_lines([panel("one", series("a"))], "note") is None
