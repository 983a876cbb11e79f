"""Mininet's own examples: the table of docs/mininet.md names all of them, and its verdict is that of lab7."""

from __future__ import annotations

import re
from pathlib import Path

import click
import mininet.examples
import pytest

from experiments.harness.cli.networks import make_topology
from experiments.harness.discovery import find_topology
from tests.emulation.support import REPOSITORY
from tests.emulation.testbed.student_topologies import topos
from topologies.emulation import topology_checks
from topologies.emulation.errors import TopologyError

EXAMPLES = Path(mininet.examples.__file__).parent
GUIDE = (REPOSITORY / "docs" / "mininet.md").read_text()
ROW = re.compile(r"^\| (\w+\.py) \| (runs|with a change|cannot) \| (.+) \|$", re.MULTILINE)
TABLE = {name: (verdict, how) for name, verdict, how in ROW.findall(GUIDE)}


def test_the_table_names_every_example() -> None:
    # Debian has a version with fewer.
    installed = {path.name for path in EXAMPLES.glob("*.py") if not path.name.startswith("__")}
    assert installed <= set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_an_example_runs_or_is_refused_by_one_sentence(name: str) -> None:
    verdict, how = TABLE[name]
    if not (EXAMPLES / name).exists():
        pytest.skip("this version of Mininet has no such example")
    given = dict(re.findall(r"`--set (\w+)=(\w+)`", how)) if verdict == "runs" else {}
    try:
        topology_checks.check(make_topology(find_topology(str(EXAMPLES / name)), given))
        found = "runs"
    except (TopologyError, click.UsageError) as error:
        found = str(error)
    assert (found == "runs") == (verdict == "runs"), found
    assert "\n" not in found


@pytest.mark.parametrize("how", [how for _, how in TABLE.values() if "topology `" in how])
def test_the_shape_of_an_example_is_a_topology_of_the_tests(how: str) -> None:
    assert set(re.findall(r"topology `([\w-]+)`", how)) <= set(topos)
