"""Drawings of topologies: every node and link, text that is escaped, and boxes that do not overlap."""

from __future__ import annotations

import re
import shutil
import subprocess
from xml.etree import ElementTree

import pytest
from mininet.topo import Topo

from lab7.experiments.harness.catalogue.topologies import all_topologies
from lab7.topologies.description.diagram import draw

SVG = "{http://www.w3.org/2000/svg}"
TOPOLOGIES = sorted(all_topologies())


class Odd(Topo):  # type: ignore[misc]
    """Names and services with characters that the formats use themselves; a loop, and a node without a link."""

    def build(self) -> None:
        self.addHost("alone", ip=None)
        self.addHost("a", ip="10.0.0.1/24", names=['<b>"x"|'], serves=["own.py --flag 'a b'"])
        self.addSwitch("s1")
        self.addSwitch("s2")
        self.addLink("a", "s1", delay="1ms", loss=2)
        self.addLink("s1", "s2")
        self.addLink("s2", "a")


def boxes(svg: str) -> list[tuple[float, float, float, float]]:
    found = []
    for one in ElementTree.fromstring(svg).iter(f"{SVG}rect"):
        if one.get("x") is not None:
            left, top = float(one.attrib["x"]), float(one.attrib["y"])
            found.append((left, top, left + float(one.attrib["width"]), top + float(one.attrib["height"])))
    return found


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_an_svg_has_every_node_and_link_inside_and_apart(name: str) -> None:
    topo = all_topologies()[name].make()
    svg = draw(topo, "svg")
    root = ElementTree.fromstring(svg)
    texts = {one.text for one in root.iter(f"{SVG}text")}
    assert set(topo.nodes()) <= texts
    assert len(list(root.iter(f"{SVG}line"))) == len(topo.links())
    found = boxes(svg)
    assert len(found) == len(topo.nodes())
    for place, (left, top, right, bottom) in enumerate(found):
        assert min(left, top) >= 0
        assert right <= float(root.attrib["width"])
        assert bottom <= float(root.attrib["height"])
        for other in found[place + 1 :]:
            assert right < other[0] or other[2] < left or bottom < other[1] or other[3] < top


def test_text_is_escaped_in_each_format() -> None:
    svg = draw(Odd(), "svg")
    assert '<b>"x"|' in {one.text for one in ElementTree.fromstring(svg).iter(f"{SVG}text")}
    assert "1ms, 2% loss" in svg
    mermaid = draw(Odd(), "mermaid")
    assert re.search(r'\["a<br/>10\.0\.0\.1<br/>#60;b#62;#34;x#34;#124;<br/>own\.py"\]', mermaid)
    assert '<b>\\"x\\"|' in draw(Odd(), "dot")


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_mermaid_and_dot_have_every_node_and_link(name: str) -> None:
    topo = all_topologies()[name].make()
    mermaid, dot = draw(topo, "mermaid"), draw(topo, "dot")
    assert mermaid.count(" ---") == dot.count(" -- ") == len(topo.links())
    for node in topo.nodes():
        assert f'"{node}<br/>' in mermaid or f'"{node}"' in mermaid
        assert f'"{node}" [label=' in dot


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs dot (graphviz)")
def test_graphviz_reads_the_dot_format() -> None:
    subprocess.run(["dot", "-Tsvg"], input=draw(Odd(), "dot"), text=True, capture_output=True, check=True)
