"""NAT and hosts with limits of processor time: one script, run by Mininet and by lab7, and what cannot be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab7.topologies.emulation.errors import MachineError
from lab7.topologies.emulation.process import control_group
from tests.emulation.processes import descendants
from tests.emulation.support import (
    PATIENCE_S,
    REPOSITORY,
    environment,
    eventually,
    lab7,
    one_sentence,
    read_until,
    start_lab7,
)

SCRIPT = "tests/emulation/mininet/special_hosts.py"
# Stock Mininet has the machine's control groups where it expects them, in a sandbox that covers them.
STOCK = 'mount --rbind /run/lab7-cgroup /sys/fs/cgroup; exec "$@"'
# It calls the programs of cgroup-tools, which know the hierarchies of version 1.
VERSION_1 = control_group.GROUPS / "cpu"
STATEMENTS = ("a NAT of its own namespace", "addNAT()", "addNAT() with a class", "a class derived from NAT", "limits")


@pytest.fixture(scope="module")
def found() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the JSON that the script prints when Mininet runs it, and when lab7 does."""
    if Path("/proc/self/uid_map").read_text().split()[:2] != ["0", "0"] or not VERSION_1.is_dir():
        pytest.skip("stock Mininet needs root and control groups of version 1")
    stock = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "lab7.topologies.emulation.sandbox"),
            *("sh", "-c", STOCK, "sh", sys.executable, SCRIPT, "stock"),
        ],
        cwd=REPOSITORY,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    assert stock.returncode == 0, stock.stderr
    ours = lab7("script", "--links", "wire", SCRIPT, cwd=REPOSITORY)
    assert ours.returncode == 0, ours.stderr
    return json.loads(stock.stdout.splitlines()[-1]), json.loads(ours.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_script_sees_the_same(statement: str, found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    stock, ours = (each[statement] for each in found)
    assert ours == stock


NOWHERE = """
from mininet.net import Mininet
from mininet.log import setLogLevel

setLogLevel("critical")
net = Mininet()
for name in ("h1", "h2"):
    net.addHost(name)
s1 = net.addSwitch("s1")
for host in net.hosts:
    net.addLink(host, s1)
net.build()
net.addNAT().configDefault()
net.start()
h1, nat = net["h1"], net["nat0"]
print(net.pingAll(), "10.0.0.3" in h1.cmd("ip route show default"), "MASQUERADE" in nat.cmd("iptables -t nat -S"))
print("100% packet loss" in h1.cmd("ping -c 1 -W 1 192.0.2.1"))
"""


def test_a_nat_to_nowhere_serves_its_own_side(tmp_path: Path) -> None:
    (tmp_path / "nat.py").write_text(NOWHERE)
    done = lab7("script", "nat.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "0.0 True True\nTrue\n"), done.stderr


def possible() -> bool:
    try:
        control_group.find_place()
    except MachineError:
        return False
    return True


LIMITED = """
from mininet.net import Mininet
from mininet.node import CPULimitedHost
import time

SERVES = "lab7.services.http.origin --listen 0.0.0.0 --port 80 --root ."
net = Mininet(host=CPULimitedHost)
net.addLink(net.addHost("h1", cpu=0.2, serves=SERVES), net.addSwitch("s1"))
net.start()
h1 = net["h1"]
print(h1.cmd("grep -c lab7- /proc/self/cgroup").strip())
print(open(f"/proc/{h1.services[0].pid}/cgroup").read().count("lab7-"), "up", flush=True)
while True:
    time.sleep(1)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_control_group_is_left(number: signal.Signals, tmp_path: Path) -> None:
    if not possible():
        pytest.skip("no control groups can be created here")
    place = control_group.find_place().folder
    before = set(place.glob("lab7-*"))
    (tmp_path / "limited.py").write_text(LIMITED)
    process = start_lab7("script", "limited.py", cwd=tmp_path)
    read_until(process, b"1\n1 up\n")
    made = set(place.glob("lab7-*")) - before
    inner = [one for one in descendants(process.pid) if "limited.py" in one.words]
    os.kill(inner[-1].pid, number)
    process.communicate(timeout=PATIENCE_S)
    assert made
    assert eventually(lambda: not any(folder.exists() for folder in made))


PINNED = """
from mininet.net import Mininet
from mininet.node import CPULimitedHost

net = Mininet(host=CPULimitedHost)
net.addLink(net.addHost("h1", cores=[{core}]), net.addSwitch("s1"))
net.start()
h1 = net["h1"]
print(h1.cmd("nproc").strip(), h1.popen("nproc").communicate()[0], h1.cmd("taskset -p --cpu-list $$").split()[-1])
"""


def test_cores_are_the_processors_of_a_host(tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    (tmp_path / "pinned.py").write_text(PINNED.format(core=core))
    done = lab7("script", "pinned.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"1 b'1\\n' {core}\n"), done.stderr


def test_a_limit_without_control_groups_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "limited.py").write_text(LIMITED)
    # The mount point of the machine's groups is an empty folder then.
    entering = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {control_group.GROUPS}; exec "$@"', "sh")
    if Path("/proc/self/uid_map").read_text().split()[:2] != ["0", "0"]:
        pytest.skip("needs root")
    done = lab7("script", "limited.py", cwd=tmp_path, entering=entering)
    assert done.returncode == 3
    assert "need the cpu controller of control groups: run lab7 as root" in one_sentence(done)
