"""Spanning trees of topologies and places of their nodes: all nodes once, roots in the middle, loops left out."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from lab7.topologies.description.tree import children_of, layout, spanning_trees


@settings(max_examples=30)
@given(st.integers(1, 30), st.data())
def test_each_node_has_a_place_of_its_own(number: int, data: st.DataObject) -> None:
    names = [f"n{place}" for place in range(number)]
    pair = st.tuples(st.sampled_from(names), st.sampled_from(names))
    links = data.draw(st.lists(pair, max_size=40))
    places = layout(names, links, frozenset(names[::3]))
    assert set(places) == set(names)
    assert len({(place.depth, place.row) for place in places.values()}) == number
    for place in places.values():
        if place.link is not None:
            assert place.parent in links[place.link]


def test_a_chain_of_a_thousand_switches_is_drawn() -> None:
    names = [f"s{place}" for place in range(1000)]
    assert len(layout(names, list(pairwise(names)), frozenset(names))) == 1000


def test_the_root_is_in_the_middle_and_a_switch_where_there_is_a_choice() -> None:
    links = [("a", "s"), ("s", "t"), ("t", "b")]
    assert [next(iter(tree)) for tree in spanning_trees("abst", links, frozenset("s"))] == ["s"]
    assert [next(iter(tree)) for tree in spanning_trees("abst", links, frozenset("t"))] == ["t"]


def test_components_loops_and_parallel_links_are_trees() -> None:
    links = [("a", "b"), ("a", "b"), ("b", "c"), ("c", "a"), ("d", "d")]
    first, second = spanning_trees("abcd", links)
    assert sorted(first) == ["a", "b", "c"]
    assert second == {"d": (None, None)}
    assert sum(map(len, children_of(first).values())) == 2
