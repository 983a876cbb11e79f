"""The listing of names: its cache, starts of names, suggestions, and names that other distributions add."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab7.experiments.harness import discovery
from lab7.experiments.harness.catalogue import listing as listings
from lab7.experiments.harness.catalogue.topologies import one_name
from lab7.experiments.harness.discovery import UnknownNameError, experiment_names, find_experiments, find_matrix
from lab7.experiments.harness.faults import FaultError, parse_faults
from lab7.experiments.harness.implementations.registry import ReplacementError, parse_replacement

REPOSITORY = Path(__file__).resolve().parents[5]
PIGEONS = '''"""Carrier pigeons between two lofts."""
from mininet.topo import Topo
from lab7.experiments.harness.experiment import Experiment, Parameter
from lab7.experiments.harness.implementations.registry import Implementation
from lab7.experiments.harness.parameters import seconds

def run(run):
    raise LookupError("no pigeon")

class LoftTopo(Topo):
    def build(self, birds=2):
        self.addLink(self.addHost("loft"), self.addSwitch("s1"))

EXPERIMENT = Experiment(
    name="pigeons", question="How fast [really] is a pigeon?", claims=(), run=run,
    parameters={"rtt": Parameter("1s", seconds, "the time [of flight]")},
)
PIGEOND = Implementation("pigeond", "origin", "pigeond", command="pigeond {{ port }}")
'''
POINTS = """[lab7.experiments]
pigeons = pigeons
[lab7.topologies]
loft = pigeons:LoftTopo
web = pigeons:LoftTopo
broken = no_such_module:X
number = pigeons:__name__
[lab7.implementations]
pigeond = pigeons:PIGEOND
"""
SHOW = """
import json, sys
from lab7.experiments.harness.discovery import find_experiments, find_topology
from lab7.experiments.harness.implementations.registry import parse_replacement
print(json.dumps([
    find_experiments(["pigeons"])[0].question,
    find_topology("loft").make().hosts(),
    parse_replacement("origin=pigeond", ("origin",))[1].command,
]))
"""


def command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with the distribution in `folder`, and with a cache of its own."""
    changes = {"PYTHONPATH": f"{REPOSITORY}:{folder}", "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, *words], env=os.environ | changes, cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def distribution(tmp_path: Path) -> Path:
    (tmp_path / "pigeons.py").write_text(PIGEONS)
    described = tmp_path / "pigeons-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeons\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(POINTS)
    return tmp_path


def test_another_distribution_adds_names_and_its_faults_are_reported(distribution: Path) -> None:
    done = command("-m", "lab7.experiments.harness.cli", "list", "--json", folder=distribution)
    found = json.loads(done.stdout)
    (pigeons,) = [one for one in found["experiments"] if one["name"] == "pigeons"]
    assert pigeons["parameters"] == {"rtt": {"default": "1s", "meaning": "the time [of flight]"}}
    assert {"loft", "web"} <= {one["name"] for one in found["topologies"]}
    told = done.stderr.splitlines()
    assert len(told) == 3
    assert "the entry point broken of pigeons (lab7.topologies) is left out: ModuleNotFoundError" in done.stderr
    assert "web of pigeons (lab7.topologies) is left out: there is another topology of the name web" in done.stderr
    assert "number of pigeons (lab7.topologies) is left out: it is of type str" in done.stderr
    again = command("-c", SHOW, folder=distribution)
    assert json.loads(again.stdout) == ["How fast [really] is a pigeon?", ["loft"], "pigeond {{ port }}"]
    assert again.stderr == ""
    # Texts of others may have square brackets, which are no markup.
    shown = command("-m", "lab7.experiments.harness.cli", "list", "pigeons", folder=distribution)
    assert "How fast [really] is a pigeon?  (no claim)\n    --set rtt=1s  the time [of flight]\n" in shown.stdout


def test_an_error_of_another_distribution_is_a_sentence_with_its_line(distribution: Path) -> None:
    """A run of its experiment ended with a traceback of lab7."""
    script = (
        "from lab7.experiments.harness.cli.runs import _user_file_errors\n"
        "from lab7.experiments.harness.discovery import find_experiments\n"
        "from lab7.topologies.emulation.errors import UserFileError\n"
        "try:\n    with _user_file_errors():\n        find_experiments(['pigeons'])[0].run(None)\n"
        "except UserFileError as error:\n    print(error)"
    )
    done = command("-c", script, folder=distribution)
    assert done.stdout == "pigeons.py, line 8, fails: LookupError: no pigeon\n", done.stderr


def test_the_listing_is_what_the_modules_declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    listings.listing.cache_clear()
    made = listings.listing()
    assert list(made.experiments) == list(discovery.all_experiments())
    assert list(made.topologies) == list(discovery.all_topologies())
    assert made.topologies["web"].hosts == ("client", "origin")
    assert "delay" in made.topologies["web"].parameters


def test_the_cache_is_read_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    listings.listing.cache_clear()
    made = listings.listing()
    calls: list[int] = []

    def make() -> listings.Listing:
        calls.append(1)
        return made

    monkeypatch.setattr(listings, "_make", make)
    listings.listing.cache_clear()
    assert (listings.listing(), calls) == (made, [])
    monkeypatch.setattr(listings, "_files", lambda: iter(["another.py:1:1"]))
    listings.listing.cache_clear()
    assert (listings.listing(), calls) == (made, [1])
    (path,) = (tmp_path / "lab7").glob("listing-*.json")
    path.write_text('{"fingerprint": ')
    listings.listing.cache_clear()
    assert (listings.listing(), calls) == (made, [1, 1])
    # A folder that cannot be written costs the cache, and nothing else.
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    listings.listing.cache_clear()
    assert (listings.listing(), calls) == (made, [1, 1, 1])
    listings.listing.cache_clear()


def test_the_listing_of_a_wheel_is_used_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    monkeypatch.setattr(listings, "SHIPPED", tmp_path / "listing.json")
    listings.listing.cache_clear()
    made = listings.listing()
    monkeypatch.setattr(listings, "_make", lambda: made)
    listings.ship()

    def imported() -> listings.Listing:
        raise AssertionError("the experiments were imported")

    monkeypatch.setattr(listings, "_make", imported)
    listings.listing.cache_clear()
    assert listings.listing() == made
    monkeypatch.setattr(listings, "_content_hash", lambda: "of other files")
    listings.listing.cache_clear()
    with pytest.raises(AssertionError, match="were imported"):
        listings.listing()
    listings.listing.cache_clear()


def test_the_listing_imports_neither_yaml_nor_the_formats_of_other_testbeds(tmp_path: Path) -> None:
    slow = ("yaml", "lab7.topologies.interchange.reader")
    script = (
        "import sys; from lab7.experiments.harness.catalogue import listing; listing.listing(); "
        f"print([name for name in {slow!r} if name in sys.modules])"
    )
    done = command("-c", script, folder=tmp_path)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_start_of_names_stands_for_all_of_them() -> None:
    assert experiment_names(["http"]) == ["http-keep-alive", "http-multiplexing", "http-rtt-sweep", "http-versions"]
    assert experiment_names(["cdn"]) == ["cdn"]
    assert experiment_names(["http-v", "http-versions"]) == ["http-versions"]
    assert [one.name for one in find_experiments(["dns-res"])] == ["dns-resolution"]
    assert find_matrix("f").name == "ftp"
    assert discovery.find_topology("inter").name == "internet"
    with pytest.raises(UnknownNameError, match="is the start of more than one topology: give one of mail, "):
        one_name("mai", ["mail", "mail-forgery"], "topology", "")


def test_an_unknown_name_has_a_suggestion() -> None:
    with pytest.raises(
        UnknownNameError, match=r"^unknown experiment 'htpt-versions' \(did you mean http-versions\?\):"
    ):
        find_experiments(["htpt-versions"])
    with pytest.raises(
        UnknownNameError,
        match=r"^unknown experiment 'htp' \(did you mean http-keep-alive, http-multiplexing, http-rtt-sweep or "
        r"http-versions\?\):",
    ):
        find_experiments(["htp"])
    with pytest.raises(UnknownNameError, match=r"^unknown topology 'wbe' \(did you mean web\?\): the topologies are"):
        discovery.find_topology("wbe")
    with pytest.raises(UnknownNameError, match=r"^unknown matrix 'fpt' \(did you mean ftp\?\): the matrices are"):
        find_matrix("fpt")
    with pytest.raises(ReplacementError, match=r"\(did you mean nginx\?\)"):
        parse_replacement("origin=ngnix", ("origin",))
    with pytest.raises(ReplacementError, match=r"\(did you mean origin\?\)"):
        parse_replacement("orgin=nginx", ("origin",))
    with pytest.raises(FaultError, match=r"\(did you mean ttl-ignored\?\)"):
        parse_faults(["local=ttl-ignord"])
    with pytest.raises(UnknownNameError, match=r"^unknown experiment 'zzz': the experiments are"):
        find_experiments(["zzz"])
