"""Mininet's own examples: the table of docs/mininet.md names all of them, and its verdict is that of lab7."""

from __future__ import annotations

import re
from pathlib import Path

import click
import mininet.examples
import pytest

from lab7.experiments.harness.cli.networks import make_topology
from lab7.experiments.harness.discovery import find_topology
from lab7.topologies.emulation import topology_checks
from lab7.topologies.emulation.errors import TopologyError
from tests.emulation.support import REPOSITORY, lab7
from tests.emulation.testbed.student_topologies import topos

EXAMPLES = Path(mininet.examples.__file__).parent
GUIDE = (REPOSITORY / "docs" / "mininet.md").read_text()
ROW = re.compile(r"^\| (\w+\.py) \| (runs|with a change|cannot) \| (.+) \|$", re.MULTILINE)
TABLE = {name: (verdict, how) for name, verdict, how in ROW.findall(GUIDE)}

SCRIPT = "`lab7 script`"
SCRIPTS = [name for name, (verdict, how) in TABLE.items() if verdict == "runs" and SCRIPT in how]


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
    is_topology = verdict == "runs" and SCRIPT not in how
    try:
        topology_checks.check(make_topology(find_topology(str(EXAMPLES / name)), given))
        found = "runs"
    except (TopologyError, click.UsageError) as error:
        found = str(error)
    assert (found == "runs") == is_topology, found
    assert "\n" not in found


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_of_the_examples_runs_to_its_end(name: str, tmp_path: Path) -> None:
    if not (EXAMPLES / name).exists():
        pytest.skip("this version of Mininet has no such example")
    done = lab7("script", str(EXAMPLES / name), cwd=tmp_path, stdin="exit\n", changes={"HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "lab7: " not in done.stderr
    assert re.search(r"\*\*\* Stopping [1-9]\d* hosts", done.stderr)


@pytest.mark.parametrize("how", [how for _, how in TABLE.values() if "topology `" in how])
def test_the_shape_of_an_example_is_a_topology_of_the_tests(how: str) -> None:
    assert set(re.findall(r"topology `([\w-]+)`", how)) <= set(topos)
