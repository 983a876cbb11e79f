"""Python files in the current directory: no process of lab7 imports one, whatever its name, as root or another user."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab7.experiments.harness.implementations.registry import implementations
from lab7.topologies.emulation.process.interpreter import module_command
from tests.emulation.support import lab7, start_lab7
from tests.emulation.testbed.test_ordinary_user import as_nobody, find_python

# Everything that Python itself, this project or a package of its environment may import.
NAMES = sorted({*sys.stdlib_module_names, *importlib.metadata.packages_distributions(), "services", "sitecustomize"})
IMPORTED = "with open({marker!r}, 'a') as file: file.write(__name__ + ' from ' + __file__ + chr(10))\n"
OWN_TOPOLOGY = """
from mininet.topo import Topo
from word_beside import WORD

class Own(Topo):
    def build(self):
        self.addLink(self.addHost(WORD, serves={server!r}), self.addSwitch("s1"), delay="1ms")

topos = {{"own": Own}}
"""
OWN_SERVER = """
import signal
import lab7.services.shell
from word_beside import WORD

def main(argv):
    print("READY", WORD, flush=True)
    signal.sigwait([signal.SIGTERM])
    return 0
"""
OWN_EXPERIMENT = """
from lab7.experiments.harness.experiment import Experiment
import lab7.services.http.origin
from word_beside import WORD

def run(context):
    import lab7.services.dns.stub
    raise SystemError(WORD + " " + lab7.services.dns.stub.__name__)

EXPERIMENT = Experiment("mine", "Why?", (), {}, run=run)
"""
PROGRAM = "import beside; print('imported', beside.WORD)"


@dataclass(frozen=True)
class Place:
    """A directory with a file of every name; what is imported from it writes its name to `marker`."""

    folder: Path
    marker: Path
    command: Path

    def imported(self) -> str:
        return self.marker.read_text()


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    # Not pytest's own folder, which other users may not enter.
    parent = Path(tempfile.mkdtemp())
    try:
        made = Place(parent / "here", parent / "marker", parent / "bin" / "lab7")
        made.folder.mkdir()
        made.command.parent.mkdir()
        made.command.write_text("from lab7.experiments.harness.cli import main\nmain()\n")
        made.marker.touch()
        for name in NAMES:
            (made.folder / f"{name}.py").write_text(IMPORTED.format(marker=str(made.marker)))
        (made.folder / "word_beside.py").write_text("WORD = 'anna'\n")
        (made.folder / "own_server.py").write_text(OWN_SERVER)
        (made.folder / "own_topology.py").write_text(OWN_TOPOLOGY.format(server=str(made.folder / "own_server.py")))
        (made.folder / "own_experiment.py").write_text(OWN_EXPERIMENT)
        parent.chmod(0o755)
        made.marker.chmod(0o666)
        yield made
    finally:
        shutil.rmtree(parent)


def test_the_files_are_such_that_python_would_import_them(place: Place) -> None:
    done = subprocess.run([sys.executable, "-c", "import colorsys"], cwd=place.folder, check=False)
    assert done.returncode == 0
    assert f"colorsys from {place.folder}/colorsys.py" in place.imported()
    place.marker.write_text("")


@pytest.mark.parametrize(
    "words",
    [
        ("doctor",),
        ("list",),
        ("claims",),
        ("exec", "--links", "wire", "web", "client", "--", "curl", "-sS", "-o", "/dev/null", "http://www.example.com/"),
        ("exec", "own_topology.py", "anna", "--", "true"),
        ("run", "dns-records", "--results", "/run/results"),
    ],
    ids=" ".join,
)
def test_no_command_imports_them(words: tuple[str, ...], place: Place) -> None:
    done = lab7(*words, cwd=place.folder)
    assert (place.imported(), done.stderr, done.returncode) == ("", "", 0)


def test_the_command_line_of_a_network_imports_none(place: Place, tmp_path: Path) -> None:
    lines = "py __import__('colorsys').__name__\nclient hostname\nexit\n"
    done = lab7("shell", "web", cwd=place.folder, stdin=lines, changes={"HOME": str(tmp_path)})
    assert (place.imported(), done.returncode) == ("", 0)
    assert "colorsys" in done.stderr


def test_an_experiment_of_one_s_own_imports_what_lies_beside_it_and_the_project(place: Place) -> None:
    done = lab7("run", "./own_experiment.py", "--results", "/run/results", cwd=place.folder)
    assert place.imported() == ""
    assert "own_experiment.py, line 8, fails: SystemError: anna lab7.services.dns.stub" in done.stderr


def test_a_topology_that_is_up_has_imported_none(place: Place) -> None:
    with start_lab7("up", "web", cwd=place.folder) as process:
        assert process.stdout is not None
        assert any(b"Ctrl-C takes it down." in line for line in process.stdout)
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert place.imported() == ""


@pytest.mark.parametrize("words", [("doctor",), ("exec", "web", "client", "--", "true")], ids=" ".join)
def test_another_user_imports_none(words: tuple[str, ...], place: Place) -> None:
    done = as_nobody(find_python(), str(place.command), *words, cwd=place.folder)
    assert (place.imported(), done.stderr, done.returncode) == ("", "", 0)


def test_a_script_in_a_sandbox_imports_what_lies_beside_it_alone(place: Place, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("WORD = 'this'")
    (tmp_path / "script.py").write_text(PROGRAM)
    words = module_command("lab7.topologies.emulation.sandbox", sys.executable, str(tmp_path / "script.py"))
    done = subprocess.run(words, cwd=place.folder, capture_output=True, text=True, check=False)
    assert (place.imported(), done.stdout, done.stderr) == ("", "imported this\n", "")


def test_a_program_of_one_s_own_in_a_host_imports_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("WORD = 'this'")
    (tmp_path / "script.py").write_text(PROGRAM)
    done = lab7("exec", "web", "client", "--", sys.executable, str(tmp_path / "script.py"), cwd=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("imported this\n", "", 0)


def test_no_real_server_written_in_python_imports_them_when_it_is_looked_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)
    for one in implementations().values():
        if "python" in one.program and one.installed():
            assert one.describe() != ""
    assert place.imported() == ""
