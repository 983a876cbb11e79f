"""The command `lab7` as a person types it: what it prints, how it exits, and what it says to a slip."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.harness.fidelity.disturbance import RETAKES
from lab7.experiments.harness.judge.frames import read_capture
from lab7.topologies.emulation import tools
from lab7.topologies.emulation.links import netem
from lab7.topologies.emulation.provisioning import packages
from tests.emulation.support import PATIENCE_S, lab7, lab7_with_programs, one_sentence, read_until, start_lab7

SHOWN, FAILED, USAGE, CANNOT = 0, 1, 2, 3
# What every run of http-versions judges; those of HTTP/2 follow.
CLAIMS = [f"H{number}" for number in range(1, 10)]
# Decided by packets alone. H6 to H9 hang on times as well, which a busy machine may spoil.
BY_PACKETS = ("H1", "H2", "H3", "H4", "H5")
STRATEGIES = ["1.0-serial", "1.0-parallel", "1.1-persistent", "1.1-pipelined"]

OWN_DRAWING = """
from mininet.topo import Topo

class Own(Topo):
    def build(self):
        switch = self.addSwitch("s1")
        self.addLink(self.addHost({first!r}, ip="10.0.0.1/24"), switch)
        self.addLink(self.addHost("bert", ip={second!r}), switch)

topos = {{"own": Own}}
"""


def own_topology(folder: Path, first: str = "anna", second: str = "10.0.0.2/24") -> str:
    (folder / "own.py").write_text(OWN_DRAWING.format(first=first, second=second))
    return "own.py"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any], Path]:
    """One run of an experiment: its exit code, the result it printed, and where it ran."""
    folder = tmp_path_factory.mktemp("run")
    done = lab7("run", "http-versions", "--repeat", "1", "--set", "rtt=20ms", "--json", cwd=folder)
    assert done.stderr == ""
    (result,) = json.loads(done.stdout)["results"]
    return done.returncode, result, folder


def folder_of(run: tuple[int, dict[str, Any], Path]) -> Path:
    (folder,) = (run[2] / "results" / "http-versions").iterdir()
    return folder


def test_a_run_judges_every_claim_it_names(run: tuple[int, dict[str, Any], Path]) -> None:
    code, result, _ = run
    verdicts = {claim["id"]: claim["verdict"] for claim in result["claims"]}
    assert list(verdicts)[: len(CLAIMS)] == CLAIMS
    assert {name: verdicts[name] for name in BY_PACKETS} == dict.fromkeys(BY_PACKETS, "shown")
    assert {verdicts[name] for name in CLAIMS} <= {"shown", "failed"}
    assert code == (SHOWN if set(verdicts.values()) == {"shown"} else FAILED)


def test_a_run_prints_what_it_wrote(run: tuple[int, dict[str, Any], Path]) -> None:
    assert json.loads((folder_of(run) / "result.json").read_text()) == run[1]
    assert (run[1]["parameters"]["rtt"], run[1]["parameters"]["repeat"]) == (pytest.approx(0.02), 1)


def test_a_run_leaves_the_files_that_its_result_names_and_no_others(run: tuple[int, dict[str, Any], Path]) -> None:
    named = {run[1]["files"][one] for one in ("capture", "timings", "report")} | {"result.json"}
    assert {path.name for path in folder_of(run).iterdir()} == named
    assert {path.name for path in run[2].iterdir()} == {"results"}
    assert {path.name for path in (run[2] / "results").iterdir()} == {"http-versions", "report.html"}


def test_the_frames_that_a_claim_cites_are_in_the_capture(run: tuple[int, dict[str, Any], Path]) -> None:
    capture = read_capture(folder_of(run) / run[1]["files"]["capture"])
    assert set(capture.counts) == {"client:client-eth0", "origin:origin-eth0"}
    cited = [frame for claim in run[1]["claims"] for frame in claim["frames"]]
    assert cited
    assert max(cited) <= len(capture.frames)


def test_every_time_stands_beside_its_theory(run: tuple[int, dict[str, Any], Path]) -> None:
    names = [one["name"] for one in run[1]["comparisons"]]
    assert names[: len(STRATEGIES)] == STRATEGIES
    samples = 0
    for one in run[1]["comparisons"]:
        # One, and others where the machine disturbed it.
        samples += len(one["samples_s"])
        assert 1 <= len(one["samples_s"]) <= 1 + RETAKES
        assert one["ratio"] == pytest.approx(one["measured_s"] / one["theory_s"])
    rows = (folder_of(run) / "timings.csv").read_text().splitlines()
    assert len(rows) == 1 + samples


def test_claims_afterwards_have_the_verdicts_of_the_run(run: tuple[int, dict[str, Any], Path]) -> None:
    done = lab7("claims", "--json", cwd=run[2])
    listed = {claim["id"]: claim["verdict"] for claim in json.loads(done.stdout)}
    assert done.returncode == 0
    judged = {claim["id"]: claim["verdict"] for claim in run[1]["claims"]}
    assert {name: listed[name] for name in judged} == judged
    assert any(verdict is None for verdict in listed.values())


def test_exec_passes_the_output_and_the_exit_code_through(tmp_path: Path) -> None:
    done = lab7("exec", "web", "client", "--", "sh", "-c", "hostname; echo trouble >&2; exit 7", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (7, "client\n", "trouble\n")


def test_exec_reports_a_signal_as_a_shell_does(tmp_path: Path) -> None:
    assert lab7("exec", "web", "client", "--", "sh", "-c", "kill -KILL $$", cwd=tmp_path).returncode == 128 + 9


def test_exec_fetches_the_page_by_name(tmp_path: Path) -> None:
    done = lab7("exec", "web", "client", "--", "curl", "-sSi", "http://www.example.com/", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("HTTP/1.1 200 ")
    assert "<html" in done.stdout


def test_exec_hands_standard_input_on(tmp_path: Path) -> None:
    assert lab7("exec", "web", "client", "--", "cat", cwd=tmp_path, stdin="a line\n").stdout == "a line\n"


def test_exec_draws_with_the_parameters_given(tmp_path: Path) -> None:
    done = lab7("exec", "--set", "clients=2", "web", "client2", "--", "hostname", cwd=tmp_path)
    assert done.stdout == "client2\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_says_what_is_there_and_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    process = start_lab7("up", "web", cwd=tmp_path)
    text = read_until(process, b"Ctrl-C takes it down.").decode()
    for word in ("client", "origin", "10.7.0.1", "10.7.1.1", "www.example.com", "lab7.services.http.origin"):
        assert word in text
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (0, b"")


def test_shell_knows_hosts_whose_names_have_hyphens(tmp_path: Path) -> None:
    changes = {"HOME": str(tmp_path)}
    done = lab7("shell", "--set", "dns=yes", "web", cwd=tmp_path, stdin="ns-root hostname\nexit\n", changes=changes)
    assert "ns-root" in [*done.stdout.splitlines(), *done.stderr.splitlines()]


def test_shell_takes_commands_from_standard_input(tmp_path: Path) -> None:
    done = lab7("shell", "web", cwd=tmp_path, stdin="client hostname\nexit\n", changes={"HOME": str(tmp_path)})
    assert done.returncode == 0
    assert "client" in [*done.stdout.splitlines(), *done.stderr.splitlines()]


def test_shell_puts_addresses_for_hosts_but_not_for_texts_and_users(tmp_path: Path) -> None:
    arguments = "client python3 -c 'import sys; print(*sys.argv[1:])' origin -u origin --user origin"
    lines = f"{arguments}\nclient echo origin\nexit\n"
    done = lab7("shell", "web", cwd=tmp_path, stdin=lines, changes={"HOME": str(tmp_path)})
    assert "10.7.1.1 -u origin --user origin\norigin\n" in done.stderr.replace("\r", "")


def test_shell_gives_a_host_s_command_nothing_of_what_follows_in_a_file(tmp_path: Path) -> None:
    lines = "client cat\nclient hostname\norigin hostname\nexit\n"
    # cat reads the terminal that its host's shell has, where nobody types: it is ended by the shell's own time-out.
    lines = lines.replace("client cat", "client timeout 0.2 cat")
    done = lab7("shell", "web", cwd=tmp_path, stdin=lines, changes={"HOME": str(tmp_path)})
    assert done.returncode == 0
    assert "client\norigin\n" in done.stderr.replace("\r", "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("run", "nowhere.py"),
            "there is no file 'nowhere.py': give the path of a Python file that defines EXPERIMENT",
        ),
        (
            ("run", "htp-versions"),
            "unknown experiment 'htp-versions' (did you mean http-versions?): the experiments are ",
        ),
        (
            ("run", "http-versions", "--set", "rrt=1ms"),
            "has no parameter 'rrt' (did you mean rtt?): its parameters are rtt, bw, objects, size",
        ),
        (("run", "http-versions", "--set", "rtt=abc"), "invalid value rtt='abc'"),
        (("run", "http-versions", "--set", "rtt"), "'rtt' does not have the form NAME=VALUE"),
        (("run", "http-versions", "--repeat", "0"), "--repeat"),
        (("run", "http-versions", "--links", "tape"), "'tape' is not auto, netem or wire"),
        (("up", "wbe"), "unknown topology 'wbe' (did you mean web?): the topologies are "),
        (("shell", "wbe"), "unknown topology 'wbe' (did you mean web?): the topologies are "),
        (("exec", "wbe", "client", "true"), "unknown topology 'wbe' (did you mean web?): the topologies are "),
        (("exec", "web", "cleint", "true"), "has no host 'cleint' (did you mean client?): it has client, origin"),
        (("up", "web", "--set", "bandwidth=1"), "has no parameter 'bandwidth': it has clients, bw, delay"),
        (("up", "web", "--set", "bw=much"), "bw='much' is not a number"),
        (("up", "web", "--set", "delay=soon"), "the link s1-s2: delay='soon' is not a time"),
        (("up", "nowhere.py"), "there is no file 'nowhere.py'"),
        (("fly",), "No such command 'fly': `lab7 --help` lists the commands"),
    ],
)
def test_a_slip_is_one_sentence_that_names_what_there_is(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    done = lab7(*words, cwd=tmp_path)
    assert done.returncode == USAGE
    assert sentence in one_sentence(done)
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_results_is_one_sentence(tmp_path: Path) -> None:
    done = lab7("run", "dns-records", "--results", "/proc/results", cwd=tmp_path)
    assert done.returncode == CANNOT
    assert "cannot store results in /proc/results (" in one_sentence(done)
    assert "name a folder with --results" in one_sentence(done)


def test_a_topology_of_one_s_own_is_run_from_its_file(tmp_path: Path) -> None:
    done = lab7("exec", own_topology(tmp_path), "anna", "--", "ping", "-c", "1", "bert", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"second": "10.0.0.1/24"}, "the hosts anna and bert both have the address 10.0.0.1"),
        ({"first": "anna-of-the-hills"}, "its interface 'anna-of-the-hills-eth0' has 22 characters"),
        ({"second": "10.0.0.300/24"}, "the host bert has ip='10.0.0.300/24', which is not an IPv4 address"),
    ],
)
def test_a_mistake_in_a_topology_of_one_s_own_is_one_sentence(
    tmp_path: Path, change: dict[str, str], sentence: str
) -> None:
    done = lab7("up", own_topology(tmp_path, **change), cwd=tmp_path)
    assert done.returncode == USAGE
    assert sentence in one_sentence(done)


def test_a_topology_that_is_no_python_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("class Own(\n")
    done = lab7("up", "own.py", cwd=tmp_path)
    assert done.returncode == USAGE
    assert "own.py cannot be read as Python: SyntaxError" in one_sentence(done)


def test_netem_where_the_kernel_has_none_is_one_sentence(tmp_path: Path) -> None:
    if netem.available():
        pytest.skip("this kernel has netem")
    done = lab7("exec", "--links", "netem", "web", "client", "true", cwd=tmp_path)
    assert done.returncode == CANNOT
    assert "this kernel has no netem: use the wire back end" in one_sentence(done)


@pytest.mark.parametrize("missing", tools.NEEDED)
def test_a_missing_tool_is_one_sentence_that_names_its_package(tmp_path: Path, missing: str) -> None:
    programs = {*tools.NEEDED, "sh", "bash"} - {missing}
    done = lab7_with_programs("exec", "web", "client", "true", cwd=tmp_path, programs=programs)
    assert done.returncode == CANNOT
    assert f"the program {missing} is missing" in one_sentence(done)
    assert f"apt-get install {packages.package_of(missing)}" in one_sentence(done)
