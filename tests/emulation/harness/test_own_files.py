"""`lab7 run`, `up` and `exec` on a person's own files, as a person calls them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from tests.emulation.support import lab7, one_sentence

USAGE, CANNOT = 2, 3

EXPERIMENT = """
    from lab7.experiments.harness.experiment import Experiment

    def run(context):
        {body}

    EXPERIMENT = Experiment("mine", "Why?", (), {{}}, run=run)
"""
TOPOLOGY = """
    from pathlib import Path
    from mininet.topo import Topo

    class Own(Topo):
        def build(self, word="mine"):
            {body}
            server = Path(__file__).with_name("server.py")
            anna = self.addHost("anna", ip="10.0.0.1/24", serves=f"{{server}} {{word}}")
            self.addLink(anna, self.addSwitch("s1"))

    topos = {{"own": {make}}}
"""
SERVER = """
    import signal, sys
    from server_words import GREETING

    def main(argv):
        Path = __import__("pathlib").Path
        Path("said").write_text(GREETING + " " + " ".join(argv))
        print("READY", flush=True)
        signal.sigwait([signal.SIGTERM])
        return 0
"""


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(dedent(text))


def write_topology(folder: Path, body: str = "pass", make: str = "Own", server: str = SERVER) -> None:
    write(folder, "mine.py", TOPOLOGY.format(body=body, make=make))
    write(folder, "server.py", server)
    write(folder, "server_words.py", "GREETING = 'hello'")


def test_a_file_s_tests_for_mn_are_not_passed_over_in_silence(tmp_path: Path) -> None:
    text = "from mininet.topo import SingleSwitchTopo\ntopos = {'own': SingleSwitchTopo}\ntests = {'mytest': print}\n"
    (tmp_path / "mine.py").write_text(text)
    done = lab7("exec", "mine.py", "h1", "--", "hostname", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "h1\n")
    assert done.stderr == (
        "lab7: `tests` of mine.py (mytest) has no effect: call such a function from a script that calls Mininet(), by "
        "`lab7 script FILE`\n"
    )


@pytest.mark.parametrize("make", ["Own", "lambda word='mine': Own(word=word)"])
def test_a_host_serves_a_file_with_a_main_as_it_does_a_module(make: str, tmp_path: Path) -> None:
    write_topology(tmp_path, make=make)
    done = lab7("exec", "--set", "word=world", "mine.py", "anna", "--", "cat", "said", cwd=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("hello world", "", 0)


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        ("x = 1", "server.py has no main(argv): define one that serves, and prints READY once it does"),
        ("import nobody", "server.py, line 1, fails: ModuleNotFoundError: No module named 'nobody'"),
        ("def main(argv):\n    print('hello')", "printed b'hello' instead of READY"),
        ("def main(argv):\n    return 1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_mistake_in_a_service_of_one_s_own_is_one_sentence(server: str, sentence: str, tmp_path: Path) -> None:
    write_topology(tmp_path, server=server)
    done = lab7("exec", "mine.py", "anna", "--", "true", cwd=tmp_path)
    assert done.returncode == CANNOT
    assert sentence in one_sentence(done)


def test_a_file_to_serve_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    write_topology(tmp_path)
    (tmp_path / "server.py").unlink()
    done = lab7("up", "mine.py", cwd=tmp_path)
    assert done.returncode == USAGE
    assert "the host anna: there is no file " in one_sentence(done)


def test_a_mistake_while_a_topology_is_built_is_one_sentence_with_its_line(tmp_path: Path) -> None:
    write_topology(tmp_path, body="self.addHots('bert')")
    done = lab7("up", "mine.py", cwd=tmp_path)
    assert done.returncode == USAGE
    assert "mine.py, line 7, fails: AttributeError: 'Own' object has no attribute 'addHots'" in one_sentence(done)


def test_a_parameter_that_a_topology_lacks_is_named(tmp_path: Path) -> None:
    write_topology(tmp_path)
    done = lab7("up", "mine.py", "--set", "wrod=x", cwd=tmp_path)
    assert "the topology own has no parameter 'wrod' (did you mean word?): it has word" in one_sentence(done)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return context.parameters['rtt']", "mine.py, line 5, fails: KeyError: 'rtt'"),
        ("import json; json.loads('no')", "mine.py, line 5, fails: JSONDecodeError"),
    ],
)
def test_a_mistake_while_an_experiment_runs_is_one_sentence_with_its_line(
    body: str, sentence: str, tmp_path: Path
) -> None:
    write(tmp_path, "mine.py", EXPERIMENT.format(body=body))
    done = lab7("run", "./mine.py", cwd=tmp_path)
    assert done.returncode == USAGE
    assert sentence in one_sentence(done)
    assert list((tmp_path / "results" / "mine").iterdir()) == []
