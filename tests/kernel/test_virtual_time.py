"""Virtual time from outside: the clock, one seed and one result, and what is left when something goes wrong."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import sysconfig
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from lab7.experiments.harness.implementations.registry import implementations
from lab7.experiments.harness.results.repeatability import first_difference
from lab7.topologies.emulation.virtual import guard, kernel
from lab7.topologies.emulation.virtual.job import Job
from lab7.topologies.emulation.virtual.machine import Ended, Machine, OverdueError

REPOSITORY = Path(__file__).resolve().parents[2]
LAB7 = [sys.executable, "-m", "lab7.experiments.harness.cli"]
SMALL = ["run", "http-versions", "--set", "strategies=1.0-serial", "--repeat", "1", "--time", "virtual"]
PATIENCE_S = 900.0
HOUR_S = 3600.0
NOBODY = "65534"


def in_kernel(
    command: str,
    *,
    seed: int = 1,
    limit_s: float = 10 * HOUR_S,
    real_s: float = PATIENCE_S,
    folders: dict[str, str] | None = None,
) -> Ended:
    job = Job(("sh", "-c", command), dict(os.environ), "/", folders or {}, limit_s, seed)
    with Machine(kernel.require(), job) as machine:
        return machine.wait(real_s)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place of its own for all that is made in the host's temporary folders."""
    made = tmp_path / "scratch"
    made.mkdir()
    monkeypatch.setenv("TMPDIR", str(made))
    monkeypatch.setattr("tempfile.tempdir", str(made))
    monkeypatch.setattr("lab7.topologies.emulation.virtual.machine._folders_place", lambda: str(made))
    yield made
    assert list(made.iterdir()) == []


def lab7(
    *words: str, cwd: Path, repository: Path = REPOSITORY, changes: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(repository), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [*LAB7, *words],
        cwd=cwd,
        input=stdin,
        env={**os.environ, **(changes or {}), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def start(*words: str, cwd: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [*LAB7, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kernels_of(pid: int) -> list[int]:
    """The guard of a kernel that a process has started, and the processes of that guard's session."""
    found: set[int] = set()
    rows: list[tuple[int, int, int]] = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX":
            rows.append((int(name), int(fields[1]), int(fields[3])))
    guards = {process for process, parent, session in rows if parent == pid and session == process}
    found |= {process for process, _parent, session in rows if session in guards}
    return sorted(found)


def job_folders(pids: list[int]) -> set[Path]:
    """The folders of jobs, from the command lines of the guards among these processes."""
    lines = [Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in pids]
    return {Path(words[place + 2]) for words in lines for place, word in enumerate(words) if word == guard.__file__}


def alive(pids: list[int]) -> list[int]:
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "ZX":
            found.append(pid)
    return found


def eventually_none(pids: list[int]) -> list[int]:
    deadline_s = time.monotonic() + 20
    while alive(pids) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return alive(pids)


@pytest.mark.usefixtures("scratch")
def test_an_hour_passes_at_once_and_exactly() -> None:
    ended = in_kernel(f"sleep {HOUR_S:.0f}; exit 7")
    assert ended.code == 7
    assert HOUR_S <= ended.took_s < HOUR_S + 0.01


@pytest.mark.usefixtures("scratch")
def test_a_job_that_waits_too_long_ends_on_the_kernels_clock() -> None:
    with pytest.raises(OverdueError, match="after 60 s of virtual time"):
        in_kernel(f"sleep {HOUR_S:.0f}", limit_s=60)


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("command", ["while :; do :; done", "f() { f | f & }; f; while :; do :; done"])
def test_a_job_that_computes_or_forks_for_ever_ends_on_the_hosts_clock(command: str) -> None:
    with pytest.raises(OverdueError, match="not ended after 10 s"):
        in_kernel(command, real_s=10)


@pytest.mark.usefixtures("scratch")
def test_the_host_is_read_and_not_written(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("mine")
    assert in_kernel(f"test $(cat {tmp_path}/own) = mine && echo x > {tmp_path}/own && rm -r {tmp_path}").code == 0
    assert (tmp_path / "own").read_text() == "mine"


@pytest.mark.usefixtures("scratch")
def test_the_pages_of_a_checkout_keep_their_dates() -> None:
    page = REPOSITORY / "topologies" / "www" / "index.html"
    before_ns = page.stat().st_mtime_ns
    # The checkout is among the folders that the kernel may write to, as with results inside of it.
    assert in_kernel(f"test $(date -r {page} +%Y) = 2029", folders={str(REPOSITORY): str(REPOSITORY)}).code == 0
    assert page.stat().st_mtime_ns == before_ns


@pytest.mark.usefixtures("scratch")
def test_the_seed_alone_decides_what_is_random() -> None:
    found = []
    for seed in (1, 1, 2):
        words = ("sh", "-c", "od -x -N 64 /dev/urandom; date; cat /proc/self/stat; uptime")
        with Machine(kernel.require(), Job(words, {"PATH": os.environ["PATH"]}, "/", seed=seed)) as machine:
            assert machine.wait(PATIENCE_S).code == 0
            found.append((machine.folder / "stdout").read_text())
    assert found[0] == found[1]
    assert found[0].splitlines()[:4] != found[2].splitlines()[:4]


@pytest.mark.usefixtures("scratch")
def test_the_kernel_has_as_much_memory_each_time() -> None:
    """The sizes of its hash tables follow from that, and identifications of datagrams are drawn from one of them."""
    found = set()
    for _ in range(4):
        words = ("sh", "-c", "cat /proc/meminfo | grep MemTotal; grep -E 'spanned|present' /proc/zoneinfo; dmesg")
        with Machine(kernel.require(), Job(words, {"PATH": os.environ["PATH"]}, "/", seed=1)) as machine:
            assert machine.wait(PATIENCE_S).code == 0
            said = (machine.folder / "stdout").read_text()
        found.add(tuple(line for line in said.splitlines() if re.search("MemTotal|spanned|present|hash table", line)))
    assert len(found) == 1


def test_one_seed_gives_one_result_to_the_octet_for_every_user_and_checkout(tmp_path: Path) -> None:
    done = lab7(*SMALL, "--results", "one", "--twice", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "http-versions twice: identical; SHA-256 of capture.pcapng: " in done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert result["clock"]["word"] == "virtual"
    elsewhere = tmp_path / "a longer place" / "checkout"
    shutil.copytree(REPOSITORY, elsewhere, ignore=_made_by_lab7, copy_function=shutil.copy)
    user = {"HOME": str(tmp_path), "USER": "other", "LANG": "de_DE.UTF-8", "TZ": "Asia/Tokyo", "HOSTNAME": "other"}
    done = lab7(
        *SMALL, "--results", "other", cwd=tmp_path, repository=elsewhere, changes=user | _kernels_place(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    one, other = (next((tmp_path / name / "http-versions").iterdir()) for name in ("one", "other"))
    assert first_difference(one, other) is None
    digest = hashlib.sha256((other / "capture.pcapng").read_bytes()).hexdigest()
    assert result["files"]["capture_sha256"] == digest
    assert "the clock was virtual: computation takes no time" in (one / "report.html").read_text()


def _made_by_lab7(folder: str, names: list[str]) -> set[str]:
    """Hidden files, and folders at the top of the checkout that lab7 and its build write."""
    products = {"results", "build", "dist"} if Path(folder) == REPOSITORY else set()
    return {name for name in names if name.startswith(".") or name in products}


def _kernels_place(folder: Path) -> dict[str, str]:
    """A cache folder of another user, with the kernel that is there."""
    place = kernel.require().program.parent
    (folder / "cache" / "lab7").mkdir(parents=True)
    (folder / "cache" / "lab7" / "kernels").symlink_to(place.parent)
    return {"XDG_CACHE_HOME": str(folder / "cache")}


def test_a_command_runs_in_a_host_and_exits_as_it_does(tmp_path: Path) -> None:
    script = "curl -sS -o /dev/null -w %{http_code} http://www.example.com/; echo oh >&2; exit 9"
    done = lab7("exec", "--time", "virtual", "web", "client", "--", "sh", "-c", script, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (9, "200", "oh\n")


def test_a_command_gets_standard_input(tmp_path: Path) -> None:
    done = lab7("exec", "--time", "virtual", "web", "client", "--", "cat", cwd=tmp_path, stdin="a\nb")
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\nb", "")


SCRIPT = """
import random, sys, time
from mininet.cli import CLI
from mininet.link import TCLink
from mininet.net import Mininet

net = Mininet(link=TCLink, autoStaticArp=True)
s1 = net.addSwitch("s1")
for name in "ab":
    net.addLink(net.addHost(name), s1, delay="10ms", loss=20)
net.start()
began_s = time.monotonic()
time.sleep(3600)
print(round(time.monotonic() - began_s, 3), sys.argv[1:], random.random())
print(net["a"].cmd("ping -n -c 30 -i 0.2 b | grep -v rtt"))
open("beside.txt", "w").write("kept")
CLI(net)
net.stop()
sys.exit(5)
"""


def test_a_mininet_script_runs_and_is_repeatable(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "script.py").write_text(SCRIPT)
    words = ("script", "--time", "virtual", "--seed")
    typed = "nodes\nsh echo kept > other/shell.txt\n"
    first, again, other = (
        lab7(*words, seed, "other/script.py", "x", cwd=tmp_path, stdin=typed) for seed in ("2", "2", "3")
    )
    assert first.returncode == 5, first.stderr
    assert first.stdout.startswith("3600.0 ['x'] 0.")
    # A path of 2 x 20 ms, to the microsecond, and the losses of its seed.
    times = set(re.findall(r"time=(\S+) ms", first.stdout))
    assert times == {"40.0"}, first.stdout
    assert (again.returncode, again.stdout) == (5, first.stdout)
    assert other.stdout != first.stdout
    assert (tmp_path / "beside.txt").read_text() == "kept"
    assert (tmp_path / "other" / "shell.txt").read_text() == "kept\n"


def test_the_queue_of_a_link_is_read_by_a_script(tmp_path: Path) -> None:
    example = REPOSITORY / "docs" / "examples" / "mininet" / "queue_length.py"
    done = lab7("script", "--time", "virtual", str(example), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "longest queue: 100 dropped: True\n"), done.stderr


def test_the_command_line_of_a_script_cannot_be_typed(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "from mininet.net import Mininet\nfrom mininet.cli import CLI\nCLI(Mininet())\n"
    )
    ours, its = os.openpty()
    done = subprocess.run(
        [*LAB7, "script", "--time", "virtual", "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])},
        stdin=its,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    os.close(ours)
    os.close(its)
    assert done.returncode == 2
    assert done.stderr.startswith("lab7: CLI() reads commands from the terminal, and virtual time stands still")


OPEN_VSWITCH = """
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.node import OVSSwitch

class Firewall(OVSSwitch):
    def start(self, controllers):
        OVSSwitch.start(self, controllers)
        self.cmd("ovs-ofctl add-flow", self, "priority=100,icmp,actions=drop")

setLogLevel("critical")
net = Mininet(switch=Firewall)
s1 = net.addSwitch("s1")
for name in "ab":
    net.addLink(net.addHost(name), s1)
net.start()
before = net.pingAll()
s1.dpctl("del-flows", "icmp")
print(before, net.pingAll(), "actions=NORMAL" in s1.dpctl("dump-flows"), "s1-eth2" in s1.vsctl("list-ports s1"))
"""


def test_a_class_derived_from_ovsswitch_is_one_of_open_vswitch(tmp_path: Path) -> None:
    if shutil.which("ovs-vsctl") is None:
        pytest.skip("Open vSwitch is not installed")
    (tmp_path / "script.py").write_text(OPEN_VSWITCH)
    done = lab7("script", "--time", "virtual", "--switch", "ovs", "script.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "100.0 0.0 True True\n"), done.stderr


def test_what_virtual_time_has_not_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "nat.py").write_text("from mininet.topolib import TreeNet\nTreeNet(1, 2).addNAT().configDefault()\n")
    (tmp_path / "cpu.py").write_text(
        "from mininet.net import Mininet\nnet = Mininet()\nnet.addHost('h1', cpu=.5)\nnet.start()\n"
    )
    for name, sentence in (
        ("nat.py", "the kernel of virtual time has no NAT"),
        ("cpu.py", "no effect in virtual time"),
    ):
        done = lab7("script", "--time", "virtual", name, cwd=tmp_path)
        assert done.returncode == 3
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("lab7: ")]
        assert sentence in line


# Of the kernel's own timers about one a second are left; an idle network has none.
IDLE_INTERRUPTS_A_SECOND = 5
INTERRUPTS = "awk '/hr timer/ { print $2 }' /proc/interrupts"


@pytest.mark.parametrize(("topology", "host"), [("web", "client"), ("ftp", "client")])
def test_an_idle_network_wakes_nothing(topology: str, host: str, tmp_path: Path) -> None:
    script = f"{INTERRUPTS}; sleep {HOUR_S:.0f}; {INTERRUPTS}"
    done = lab7("exec", "--time", "virtual", topology, host, "--", "sh", "-c", script, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    before, after = map(int, done.stdout.split())
    assert after - before < IDLE_INTERRUPTS_A_SECOND * HOUR_S


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "replacement", "name", "waits_s"),
    # mod_cache_disk sleeps for 1 ms before each of four folders; the 221 of two connections is held for 200 ms each.
    [
        ("web-cache", ("proxy", "apache"), "cold", 0.004),
        ("mail-story", ("mta", "exim"), "pipelined, apart", 0.4),
    ],
)
def test_a_timer_of_a_real_server_is_a_term_of_its_own(
    experiment: str, replacement: tuple[str, str], name: str, waits_s: float, tmp_path: Path
) -> None:
    if not implementations()[replacement].installed():
        pytest.skip(f"{replacement[1]} is not installed")
    words = ["run", experiment, "--replace", "=".join(replacement), "--repeat", "1", "--time", "virtual", "--json"]
    done = lab7(*words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (result,) = json.loads(done.stdout)["results"]
    assert result["implementations"][replacement[0]].startswith(f"{replacement[1]} ")
    (found,) = (one for one in result["comparisons"] if one["name"] == name)
    assert found["theory_terms"]["server_waits"] == pytest.approx(waits_s, rel=0.1)
    assert found["ratio"] == pytest.approx(1, abs=found["tolerance"])


def test_a_command_has_a_terminal_where_lab7_has_one(tmp_path: Path) -> None:
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
    script = "test -t 1 && stty size; cat; exit 4"
    process = subprocess.Popen(
        [*LAB7, "exec", "--time", "virtual", "web", "client", "--", "sh", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])},
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    said = b""
    with contextlib.suppress(OSError):
        while piece := os.read(ours, 4096):
            said += piece
    assert process.wait(PATIENCE_S) == 4, said
    assert said.decode().split() == ["33", "111"]


def test_a_mistake_in_an_own_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from lab7.experiments.harness.experiment import Experiment\n"
        "def run(context):\n    return 1 / 0\n"
        "EXPERIMENT = Experiment(name='mine', question='?', claims=(), parameters={}, run=run)\n"
    )
    done = lab7("run", "mine.py", "--time", "virtual", cwd=tmp_path)
    assert done.returncode in (2, 3)
    assert "mine.py" in done.stderr
    assert "line 3" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list((tmp_path / "results" / "mine").iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_whatever_ends_lab7_nothing_of_the_kernel_is_left(number: signal.Signals, code: int, tmp_path: Path) -> None:
    process = start(*SMALL, cwd=tmp_path)
    deadline_s = time.monotonic() + PATIENCE_S
    # The kernel has processes of its own when it runs the job.
    while len(started := kernels_of(process.pid)) < 4 and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert len(started) >= 4
    # Other kernels may run on this machine, so that only this one's folder counts.
    (folder,) = job_folders(started)
    assert folder.is_dir()
    process.send_signal(number)
    said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, said
    assert eventually_none(started) == []
    assert not folder.exists()


def test_an_ordinary_user_needs_no_namespaces_and_owns_the_result(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    becoming = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", "--", "env"]
    packages = os.pathsep.join([str(REPOSITORY), sysconfig.get_path("purelib")])
    cache = tmp_path / "cache"
    place = kernel.require().program.parent
    copied = cache / "lab7" / "kernels" / place.name
    copied.mkdir(parents=True)
    for name in (kernel.PROGRAM, kernel.ABOUT):
        (copied / name).write_bytes((place / name).read_bytes())
    (copied / kernel.PROGRAM).chmod(0o755)
    own = tmp_path / "own"
    own.mkdir()
    own.chmod(0o777)
    changes = {"PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/", "XDG_CACHE_HOME": str(cache)}
    subprocess.run(["chmod", "o+x", *map(str, list(tmp_path.parents)[:-2]), str(tmp_path)], check=True)
    probe = subprocess.run(
        [*becoming, sys.executable, "-c", "import click, experiments"], env={**os.environ, **changes}
    )
    if probe.returncode != 0:
        pytest.skip(f"another user cannot read {sys.executable} or {REPOSITORY}")
    done = subprocess.run(
        [*becoming, *LAB7, *SMALL],
        cwd=own,
        env={**os.environ, **changes},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    owners = {one.stat().st_uid for one in own.rglob("*")}
    assert owners == {int(NOBODY)}
