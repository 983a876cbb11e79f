"""A network that is up, and commands of other terminals that go into it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from lab7.experiments.harness.judge.frames import read_capture
from lab7.topologies.emulation.control import registry
from tests.emulation.processes import Process, descendants
from tests.emulation.support import (
    LAB7,
    PATIENCE_S,
    environment,
    eventually,
    lab7,
    one_sentence,
    read_until,
    start_lab7,
)

UP, SAYS = b"Ctrl-C takes it down.", "lab7: in the running network web (--new starts another)"
CANNOT, USAGE = 3, 2
PAGE = "http://www.example.com/"
# Something that a command leaves running, which no other process is called.
SLEEP = "71.6"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("running")


@pytest.fixture(scope="module")
def changes(folder: Path) -> Mapping[str, str]:
    return {registry.VARIABLE: str(folder / "runtime"), "HOME": str(folder)}


@pytest.fixture(scope="module")
def network(folder: Path, changes: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = start_lab7("up", "web", cwd=folder, changes=changes)
    assert b"Up, by the name web." in read_until(process, UP)
    yield process
    process.terminate()
    process.communicate(timeout=PATIENCE_S)


@pytest.fixture
def run(network: subprocess.Popen[bytes], folder: Path, changes: Mapping[str, str]) -> Run:
    return Run(network, folder, changes)


class Run:
    """Commands of lab7 in another terminal than that of the network."""

    def __init__(self, network: subprocess.Popen[bytes], folder: Path, changes: Mapping[str, str]) -> None:
        self.network, self.folder, self.changes = network, folder, changes

    def __call__(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return lab7(*words, cwd=self.folder, changes=self.changes, stdin=stdin)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return start_lab7(*words, cwd=self.folder, changes=self.changes)

    def client(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self("exec", "web", "client", "--", *words)

    def status(self) -> str:
        words = ("curl", "-s", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", PAGE)
        return self.client(*words).stdout


def test_ps_lists_it(run: Run) -> None:
    (row,) = json.loads(run("ps", "--json").stdout)
    assert (row["name"], row["topology"], row["hosts"], row["links"]) == ("web", "web", 2, 3)
    assert row["process"] == run.network.pid
    assert re.search(r"^web +web +2 +3 +20\d\d-", run("ps").stdout, re.MULTILINE)


def test_commands_share_the_state_of_its_hosts(run: Run) -> None:
    first = run.client("sh", "-c", "echo kept > file; hostname; exit 7")
    assert (first.returncode, first.stdout, first.stderr.strip()) == (7, "client\n", SAYS)
    assert run.client("cat", "file").stdout == "kept\n"


@pytest.mark.slow
def test_an_option_that_describes_a_network_means_a_new_one(run: Run) -> None:
    run.client("sh", "-c", "echo kept > mark")
    done = run("exec", "--set", "delay=1ms", "web", "client", "--", "ls", "mark")
    assert (done.returncode, done.stdout) == (2, "")
    assert SAYS not in done.stderr


@pytest.mark.slow
def test_standard_input_reaches_a_command(run: Run) -> None:
    assert run("exec", "web", "client", "--", "cat", stdin="through\n").stdout == "through\n"


def test_attach_opens_mininets_command_line(run: Run) -> None:
    done = run("attach", "web", stdin="nodes\nclient cd /tmp\nclient pwd\npingall\npy net.addHost('x')\nexit\n")
    assert done.returncode == 0
    said = done.stdout + done.stderr
    for part in ("client origin s1 s2", "\n/tmp\n", "0% dropped (2/2 received)", "only the terminal of `lab7 shell`"):
        assert part in said


@pytest.mark.slow
def test_shell_goes_into_it(run: Run) -> None:
    done = run("shell", "web", stdin="client hostname\nexit\n")
    assert done.returncode == 0
    assert SAYS in done.stderr
    assert "client\n" in done.stdout + done.stderr


def test_a_terminal_is_that_of_the_command(run: Run) -> None:
    """A pseudo-terminal of its own: job control works, Ctrl-C is for the command, and the exit code comes back."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(run.folder)
        words = [str(LAB7), "exec", "web", "client", "--", "bash", "--norc", "--noediting", "-i"]
        os.execve(words[0], words, {**environment(run.changes), "TERM": "dumb"})
    said = _typed(master, f"tty; sleep {SLEEP}\n".encode(), b"/dev/pts/")
    assert eventually(lambda: bool(sleepers()))
    said += _typed(master, b"\x03", b"^C")
    said += _typed(master, b"exit 5\n", b"exit")
    _, status = os.waitpid(pid, 0)
    os.close(master)
    assert os.waitstatus_to_exitcode(status) == 5
    assert b"no job control" not in said


def _typed(master: int, keys: bytes, until: bytes) -> bytes:
    os.write(master, keys)
    said, deadline_s = b"", time.monotonic() + PATIENCE_S
    while until not in said.replace(keys.strip(), b"", 1):
        assert select.select([master], [], [], max(0.0, deadline_s - time.monotonic()))[0], said
        said += os.read(master, 4096)
    return said


def sleepers() -> list[Process]:
    return [one for one in Process.all() if one.words[:2] == ["sleep", SLEEP]]


LEAVING = (("exec", "web", "client", "--", "sh", "-c", f"sleep {SLEEP} & sleep {SLEEP}"), ("attach",))


@pytest.mark.parametrize("words", [LEAVING[0], pytest.param(LEAVING[1], marks=pytest.mark.slow)], ids=str)
def test_a_client_that_is_killed_leaves_nothing(run: Run, words: tuple[str, ...]) -> None:
    process = subprocess.Popen(
        [str(LAB7), *words],
        cwd=run.folder,
        env=environment(run.changes),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.write(f"client sleep {SLEEP}\n".encode())
    process.stdin.flush()
    assert eventually(lambda: bool(sleepers()))
    process.kill()
    process.communicate()
    assert eventually(lambda: not sleepers())


def test_a_signal_reaches_a_command_on_pipes(run: Run) -> None:
    # A shell's child that has not called exec yet keeps the shell's handler and loses the signal: children are short.
    process = run.start(
        "exec", "web", "client", "--", "sh", "-c", "trap 'echo got; exit 9' TERM; echo on; while :; do sleep 0.1; done"
    )
    read_until(process, b"on\n")
    process.terminate()
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, said) == (9, b"got\n")


def test_a_link_is_changed(run: Run) -> None:
    assert run("link", "set", "web", "s2-s1", "delay=40ms").stdout == "s1-s2: up, 10 Mbit/s, delay 40 ms\n"
    said = run.client("ping", "-c", "2", "-i", "0.2", "10.7.1.1").stdout
    times = [float(text) for text in re.findall(r"time=([\d.]+) ms", said)]
    assert min(times) >= 80
    run("link", "set", "web", "s1-s2", "delay=10ms")


def test_a_cable_is_pulled_and_plugged_in(run: Run) -> None:
    assert run("link", "down", "web", "client-s1").stdout.startswith("client-s1: down")
    assert run.status() == "000"
    assert run("link", "up", "web", "client-s1").stdout.startswith("client-s1: up")
    assert run.status() == "200"


def has_said(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process has written something that is not read yet, or does so soon."""
    assert process.stdout is not None
    return bool(select.select([process.stdout], [], [], 1.5)[0])


def test_a_service_is_killed_and_restarted(run: Run) -> None:
    events = run.start("events", "web", "--no-packets")
    assert eventually(lambda: run.status() == "200" and has_said(events))
    assert run("service", "kill", "web", "origin").stdout.endswith("has ended\n")
    assert run.status() == "000"
    assert run("service", "restart", "web", "origin").stdout.endswith("runs\n")
    assert run.status() == "200"
    said = read_until(events, b'"started"}\n').decode().splitlines()
    events.kill()
    events.communicate()
    states = [event["state"] for event in map(json.loads, said) if event["event"] == "service"]
    assert states == ["killed", "started"]


def test_a_capture_can_be_piped_and_read(run: Run) -> None:
    process = run.start("capture", "web", "client", "--count", "6")
    assert process.stdout is not None
    header = os.read(process.stdout.fileno(), 4096)
    assert run.status() == "200"
    rest, errors = process.communicate(timeout=PATIENCE_S)
    (run.folder / "piped.pcapng").write_bytes(header + rest)
    frames = read_capture(run.folder / "piped.pcapng").at("client:client-eth0")
    assert len(frames) == 6
    assert frames[0].tcp is not None
    assert frames[0].tcp.target.port == 80
    assert errors == b"6 packets captured, 0 dropped by the kernel\n"


def test_packets_are_events_where_they_are_sent(run: Run) -> None:
    events = run.start("events", "web", "--first")
    assert eventually(lambda: run.status() == "200" and has_said(events))
    # The first request may have been under way when the events began.
    assert run.status() == "200"
    said = b""
    while not re.search(rb'GET / HTTP/1\.1"}\n(?s:.*)HTTP/1\.1 200 OK"}\n', said):
        said += read_until(events, b"\n")
    read = said.decode().splitlines()
    events.send_signal(signal.SIGINT)
    events.communicate(timeout=PATIENCE_S)
    found = [json.loads(line) for line in read if line.endswith("}")]
    packets = [(one["from"], one["to"], one["protocol"], one["summary"]) for one in found if one["event"] == "packet"]
    request, response = ("client", "s1", "http", "GET / HTTP/1.1"), ("origin", "s2", "http", "HTTP/1.1 200 OK")
    assert request in packets
    assert response in packets[packets.index(request) :]
    assert all(hop[0] in ("client", "origin") for hop in packets)


def test_open_gives_this_machine_a_way_in(run: Run) -> None:
    served, proxy = run.start("open", "web"), run.start("open", "web", "--from", "client")
    url = re.search(rb"http://\S+", read_until(served, b"Ctrl-C"))
    port = re.search(rb"socks5://127.0.0.1:(\d+)", read_until(proxy, b"Ctrl-C"))
    assert url is not None
    assert port is not None
    by_port = subprocess.run(["curl", "-sS", url[0].decode()], capture_output=True, check=False)
    socks = f"socks5h://127.0.0.1:{port[1].decode()}"
    by_name = subprocess.run(["curl", "-sS", "--proxy", socks, PAGE], capture_output=True, check=False)
    assert b"It travelled over an emulated network" in by_port.stdout
    assert by_name.stdout == by_port.stdout
    unknown = subprocess.run(["curl", "-sS", "--proxy", socks, "http://no.example/"], capture_output=True, check=False)
    assert unknown.returncode == 97
    for process in (served, proxy):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, errors) == (0, b"")


@pytest.mark.slow
def test_ps_of_a_network_lists_its_hosts_and_links(run: Run) -> None:
    done = run("ps", "web")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["client", "10.7.0.1"] in lines
    assert any(line[:3] == ["origin", "10.7.1.1", "lab7.services.http.origin"] for line in lines)
    assert ["client-s1", "up", "no", "delay,", "no", "loss,", "no", "limit", "of", "rate"] in lines
    described = json.loads(run("ps", "web", "--json").stdout)
    assert [host["name"] for host in described["hosts"]] == ["client", "origin"]


@pytest.mark.parametrize(
    ("words", "sentence", "code"),
    [
        (("link", "set", "web", "client-s1", "delay=5ms"), "has no bw, delay or loss to change", USAGE),
        (("link", "set", "web", "s1-s2", "delay=5"), "write delay=5ms", USAGE),
        *(
            pytest.param(*slip, marks=pytest.mark.slow)
            for slip in (
                (("link", "down", "web", "s1-s3"), "its links are client-s1, origin-s2, s1-s2", USAGE),
                (("service", "restart", "web", "client"), "those with services are origin", USAGE),
                (("exec", "web", "clint", "--", "true"), "its hosts are client, origin", USAGE),
                (("capture", "web", "clint", "-w", "x"), "it has client, origin, s1, s2", USAGE),
                (("capture", "web", "client", "-i", "eth0", "-w", "x"), "it has client-eth0", USAGE),
                (("capture", "cdn", "eu-user", "-w", "x"), "no network cdn is up", USAGE),
                (("attach", "cdn"), "no network cdn is up", USAGE),
                (("down", "cdn"), "no network cdn is up", USAGE),
                (("down",), "name the networks to take down", USAGE),
                (("open", "web", "client"), "client has no TCP server", USAGE),
                (("up", "web", "--name", "web"), "a network web is up already: choose another --name", USAGE),
                (("up", "web", "--name", "a b"), "'a b' cannot be the name of a network", USAGE),
            )
        ),
    ],
    ids=str,
)
def test_a_slip_gets_one_sentence(run: Run, words: tuple[str, ...], sentence: str, code: int) -> None:
    done = run(*words)
    assert sentence in one_sentence(subprocess.CompletedProcess([], 0, "", done.stderr.replace(SAYS, "")))
    assert done.returncode == code


def test_bad_clients_do_not_hurt_it(run: Run) -> None:
    path = Path(run.changes[registry.VARIABLE], "web.sock")
    silent = []
    for octets in (b"", b".", b".{}", b"+" * 100, b"." + b"[" * 30_000, b'.{"version":1,"op":"exec"}', b"\xff" * 1000):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.connect(str(path))
        if octets:
            client.send(octets)
        silent.append(client)
    for _ in range(150):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.connect(str(path))
        client.close()
    assert run.status() == "200"
    for client in silent:
        client.close()


def test_down_takes_it_down(folder: Path, changes: Mapping[str, str]) -> None:
    process = start_lab7("up", "web", "--name", "mine", cwd=folder, changes=changes)
    read_until(process, UP)
    family = descendants(process.pid)
    attached = start_lab7("exec", "mine", "client", "--", "sleep", SLEEP, cwd=folder, changes=changes)
    assert eventually(lambda: bool(sleepers()))
    done = lab7("down", "mine", cwd=folder, changes=changes)
    assert (done.returncode, done.stdout) == (0, "mine is down\n")
    _, errors = attached.communicate(timeout=PATIENCE_S)
    assert attached.returncode == CANNOT
    assert b"lab7: the network mine has been taken down\n" in errors
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (0, b"")
    assert eventually(lambda: not any(one.lives for one in family))


@pytest.mark.slow
def test_what_a_killed_network_leaves_is_no_network(folder: Path, changes: Mapping[str, str]) -> None:
    process = start_lab7("up", "web", "--name", "dying", cwd=folder, changes=changes)
    read_until(process, UP)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
    sockets = Path(changes[registry.VARIABLE])
    assert (sockets / "dying.sock").exists()
    assert "dying" not in lab7("ps", cwd=folder, changes=changes).stdout
    assert not (sockets / "dying.sock").exists()
