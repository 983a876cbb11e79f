"""Scripts that call Mininet() themselves, in the styles of courses: `lab7 script`, and `lab7 up` or `shell` of one."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.emulation.support import REPOSITORY, lab7, one_sentence

HEAD = """
from functools import partial
from mininet.net import Mininet
from mininet.node import *
from mininet.nodelib import NAT
from mininet.link import *
from mininet.topo import Topo
from mininet.cli import CLI
from mininet.log import setLogLevel, info
from mininet.util import dumpNodeConnections
import sys
"""
# Mininet's own emptynet.py.
EMPTY = """
def emptyNet():
    net = Mininet(controller=Controller, link=TCLink, autoSetMacs=True)
    net.addController('c0')
    h1 = net.addHost('h1', ip='10.0.0.1')
    h2 = net.addHost('h2', ip='10.0.0.2')
    s3 = net.addSwitch('s3')
    net.addLink(h1, s3, bw=10, delay='5ms')
    net.addLink(h2, s3)
    net.start()
    dumpNodeConnections(net.hosts)
    net.pingAll()
    print(h1.cmd('arp -n | grep -c 00:00:00:00:00:02'))
    CLI(net)
    net.stop()

if __name__ == '__main__':
    setLogLevel('info')
    emptyNet()
"""
# A class for `mn --custom`, and a function that starts it in several sizes.
SIZES = """
class SingleSwitchTopo(Topo):
    def build(self, n=2):
        switch = self.addSwitch('s1')
        for h in range(n):
            self.addLink(self.addHost('h%s' % (h + 1), cpu=None), switch, bw=10, delay='1ms')

def perfTest(n):
    net = Mininet(topo=SingleSwitchTopo(n=n), host=CPULimitedHost, link=TCLink, autoStaticArp=True)
    net.start()
    print(len(net.hosts), net.ping([net['h1'], net['h%d' % n]]), 'PERM' in net['h1'].cmd('ip neigh'))
    net.stop()

if __name__ == '__main__':
    for n in map(int, sys.argv[1:]):
        perfTest(n)
    sys.exit(4)
"""
# Nothing is guarded or stopped; names of hosts follow them, and commands name files beside the script.
LOOSE = """
net = Mininet(switch=partial(OVSKernelSwitch, failMode='standalone'), ipBase='10.1.0.0/16')
s1 = net.addSwitch('s1')
for name in 'ab':
    net.addLink(net.addHost(name), s1)
net.start()
a, b = net.get('a', 'b')
print(a.cmd('cat words.txt').strip(), b.popen('cat words.txt').communicate()[0].decode().strip(), a.IP())
b.setIP('10.1.0.7/16')
print(a.cmd('getent hosts b').split(), net.pingAll())
net.delHost(b)
print(a.cmd('getent hosts b; grep -c b /etc/hosts').split())
b = net.addHost('b', ip='10.1.0.9/16')
s1.attach(net.addLink(b, s1).intf2)
b.configDefault()
print(a.cmd('getent hosts b').split(), b.cmd('getent hosts b').split(), net.pingAll())
"""


def written(folder: Path, text: str) -> str:
    (folder / "words.txt").write_text("beside it\n")
    (folder / "mytopo.py").write_text(HEAD + text)
    return "mytopo.py"


@pytest.mark.parametrize("command", ["script", "up", "shell"])
def test_a_script_builds_tests_and_opens_a_command_line(command: str, tmp_path: Path) -> None:
    typed = "nodes\nh1 ping -c 1 h2\nexit\n"
    done = lab7(command, written(tmp_path, EMPTY), cwd=tmp_path, stdin=typed, changes={"HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "1"
    for text in (
        "h1 h1-eth0:s3-eth1\n",
        "*** Results: 0% dropped (2/2 received)\n",
        "available nodes are: \nc0 h1 h2 s3\n",
        "1 packets transmitted, 1 received",
        "*** Stopping 2 hosts\n",
    ):
        assert text in done.stderr.replace("\r", "")


def test_arguments_exit_codes_and_several_networks_are_the_script_s(tmp_path: Path) -> None:
    done = lab7("script", written(tmp_path, SIZES), "2", "3", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, "2 0.0 True\n3 0.0 True\n"), done.stderr


def test_a_file_with_a_topology_and_a_script_is_both(tmp_path: Path) -> None:
    done = lab7("exec", "--set", "n=3", written(tmp_path, SIZES), "h3", "--", "hostname", cwd=tmp_path)
    assert done.stdout == "h3\n"


def test_names_of_hosts_follow_them_and_nothing_is_left_without_stop(tmp_path: Path) -> None:
    done = lab7("script", written(tmp_path, LOOSE), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "beside it beside it 10.1.0.1",
        "['10.1.0.7', 'b'] 0.0",
        "['0']",
        "['10.1.0.9', 'b'] ['10.1.0.9', 'b'] 0.0",
    ]
    assert "*** Stopping" not in done.stdout


def test_the_queue_of_a_link_is_read_over_time(tmp_path: Path) -> None:
    done = lab7("script", str(REPOSITORY / "docs" / "examples" / "mininet" / "queue_length.py"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "longest queue: 100 dropped: True\n"), done.stderr
    assert (tmp_path / "queue.png").stat().st_size > 0


# A helper is called from several places, so that the line that failed is not enough.
FAILING = """
import json
import words.own

def parsed(text):
    return json.loads(text)

def total(host):
    return parsed(host.cmd('echo 1')) + parsed(host.cmd('echo no'))

net = Mininet()
try:
    words.own.apply(total, net.addHost('h1'))
except ValueError as error:
    raise RuntimeError('no number') from error
"""


def test_an_error_of_a_script_has_the_calls_in_the_user_s_files(tmp_path: Path) -> None:
    name = written(tmp_path, FAILING)
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "own.py").write_text("def apply(function, value):\n    return function(value)\n")
    done = lab7("script", name, cwd=tmp_path)
    # As python3 prints it, and its exit code.
    assert done.returncode == 1
    calls = [line.strip() for line in done.stderr.splitlines() if line.lstrip().startswith("File ")]
    beside, helper = tmp_path / name, tmp_path / "words" / "own.py"
    assert calls == [
        f'File "{beside}", line 24, in <module>',
        f'File "{helper}", line 2, in apply',
        f'File "{beside}", line 20, in total',
        f'File "{beside}", line 17, in parsed',
        f'File "{beside}", line 26, in <module>',
    ]
    assert "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)\n" in done.stderr
    assert done.stderr.endswith("\nRuntimeError: no number\n")


# A process that forks from the script while the network is up.
FORKING = """
import multiprocessing, os, signal, time
net = Mininet()
h1 = net.addHost('h1')
net.start()
for number in (signal.SIGTERM, signal.SIGHUP):
    child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,))
    child.start()
    os.kill(child.pid, number)
    child.join()
    print(child.exitcode, flush=True)
child = os.fork()
if not child:
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), h1.cmd('hostname').strip())
"""


def test_processes_that_a_script_forks_end_as_under_python(tmp_path: Path) -> None:
    done = lab7("script", written(tmp_path, f"setLogLevel('critical')\n{FORKING}"), cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "-15\n-1\n7 h1\n")


# What Mininet's sshd.py, controllers.py and mobility.py do beside the network's own methods.
BESIDE = """
from mininet.clean import cleanup
cleanup()
c0 = Controller('c0', port=6633)
class MultiSwitch(OVSSwitch):
    def start(self, controllers):
        print('starts', self.name, [c.name for c in controllers], self.isOldOVS())
        return OVSSwitch.start(self, [c0])
net = Mininet(switch=MultiSwitch, controller=None)
net.addController(c0)
h1, s1 = net.addHost('h1', ip='10.0.0.1/8'), net.addSwitch('s1')
net.addLink(h1, s1)
root = Node('root', inNamespace=False)
root.setIP('10.123.0.1/32', intf=net.addLink(root, s1).intf1)
net.start()
root.cmd('ip route add 10.0.0.0/24 dev root-eth0; ip addr add 10.0.0.254/8 dev root-eth0')
print([host.name for host in net.hosts], '0% packet loss' in root.cmd('ping -c 1 -W 5 10.0.0.1'))
print('0% packet loss' in h1.cmd('ping -c 1 -W 5 10.0.0.254'), os.path.isdir('/run/sshd'))
h1.cmd('ip -6 addr add fd00::1/64 dev h1-eth0 nodad'), root.cmd('ip -6 addr add fd00::2/64 dev root-eth0 nodad')
print('fd00::1' in h1.cmd('ip -6 -br addr show dev h1-eth0'))
net.stop()
"""


def test_parts_that_a_script_makes_beside_the_network(tmp_path: Path) -> None:
    # cleanup() of Mininet removes /tmp/*.log and more, of other programs as well.
    kept = Path("/tmp", f"{tmp_path.name}.log")
    kept.write_text("")
    try:
        done = lab7("script", written(tmp_path, f"import os\nsetLogLevel('critical')\n{BESIDE}"), cwd=tmp_path)
        assert kept.exists()
    finally:
        kept.unlink(missing_ok=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["starts s1 ['c0'] False", "['h1'] True", "True True", "True"]


@pytest.mark.parametrize(("options", "value"), [((), "0"), (("--no-ipv6",), "1")])
def test_hosts_of_a_script_have_ipv6_as_in_mininet(options: tuple[str, ...], value: str, tmp_path: Path) -> None:
    text = "net = Mininet()\nprint(net.addHost('h1').cmd('cat /proc/sys/net/ipv6/conf/all/disable_ipv6').strip())\n"
    done = lab7("script", *options, written(tmp_path, text), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{value}\n"), done.stderr


def test_netem_by_hand_has_an_effect(tmp_path: Path) -> None:
    text = """
net = Mininet()
h1 = net.addHost('h1')
net.addLink(h1, net.addSwitch('s1'))
net.start()
print(h1.cmd('tc qdisc show dev h1-eth0').strip())
h1.cmd('tc qdisc add dev h1-eth0 root netem delay 10ms')
print(h1.cmd('tc qdisc show dev h1-eth0').strip())
"""
    done = lab7("script", written(tmp_path, f"setLogLevel('critical')\n{text}"), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"qdisc netem \w+: root refcnt \d+ limit 1000 delay 10ms$", done.stdout)


DHCP_CLIENTS = """
class Clients(Topo):
    def build(self):
        switch = self.addSwitch('s1')
        self.addLink(self.addHost('server', ip='192.168.1.1/24'), switch)
        for number in (1, 2):
            self.addLink(self.addHost('c%d' % number, ip='0.0.0.0'), switch)

setLogLevel('critical')
net = Mininet(Clients())
net.start()
for name in ('c1', 'c2'):
    addresses = net[name].cmd('ip -4 -o addr show dev %s-eth0' % name)
    print(net[name].IP(), repr(addresses), name in net['server'].cmd('cat /etc/hosts'))
net['c1'].cmd('ip addr add 192.168.1.7/24 dev c1-eth0')
print(net['c1'].cmd('ping -c 1 -W 5 192.168.1.1').count('time='))
net.stop()
"""


def test_two_clients_of_dhcp_have_no_address_yet(tmp_path: Path) -> None:
    done = lab7("script", written(tmp_path, DHCP_CLIENTS), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["0.0.0.0 '' False", "0.0.0.0 '' False", "1"]


def test_mn_c_of_a_script_leaves_the_files_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mn").write_text(f"#!/bin/sh\ntouch {tmp_path}/cleaned\n")
    (tmp_path / "bin" / "mn").chmod(0o755)
    text = "import os\nprint(os.system('mn -c'))\nnet = Mininet()\nnet.start()\n"
    text += "print(os.system('mn -c'), os.system('mn'))\n"
    path = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    done = lab7(
        "script", written(tmp_path, f"{text}net.stop()\nprint(os.system('mn --clean'))\n"), cwd=tmp_path, changes=path
    )
    assert (done.returncode, done.stdout.splitlines()) == (0, ["0", "0 512", "0"]), done.stderr
    assert not (tmp_path / "cleaned").exists()
    assert "lab7: mn starts a network of its own" in done.stderr


def test_a_file_of_commands_reads_another_one(tmp_path: Path) -> None:
    (tmp_path / "outer").write_text("source inner\npy 'after'\n")
    (tmp_path / "inner").write_text("py 'within'\n")
    text = "net = Mininet()\nnet.start()\nCLI(net, script='outer')\nnet.stop()\n"
    done = lab7("script", written(tmp_path, f"setLogLevel('output')\n{text}"), cwd=tmp_path)
    assert (done.returncode, (done.stdout + done.stderr).split()) == (0, ["within", "after"])


@pytest.mark.parametrize(
    ("text", "sentence", "code"),
    [
        ("import no_such_package", "line 13, imports no_such_package, which lab7's Python lacks: `", 3),
        (
            "from mn_wifi.net import Mininet_wifi",
            "line 13, imports mn_wifi of Mininet-WiFi, whose nodes a testbed lacks",
            2,
        ),
        ("from mininet.net import Containernet", "line 13, fails: ImportError: cannot import name 'Containernet'", 2),
        (
            "print(hasattr(Mininet(), 'addStation')); Mininet().addDocker('d1')",
            "addDocker() is of Containernet, whose",
            3,
        ),
        (
            "from mininet.examples.cluster import *\nMininetCluster(topo=Topo(), servers=['localhost', 'b'])",
            "MininetCluster needs several machines",
            3,
        ),
        (
            "net = Mininet(link=lambda *a, **k: TCLink(*a, bw=1, **k))\n"
            "net.addLink(net.addHost('h1'), net.addHost('h2'))\nnet.start()",
            "is made by the function <lambda>(), which is not a class: write functools.partial(Link, ...)",
            2,
        ),
        (
            "class Twice(Topo):\n    def build(self):\n        r, a, b = [self.addHost(n) for n in 'rab']\n"
            "        self.addLink(a, r, intfName2='r-eth1')\n        self.addLink(b, r)\nMininet(Twice())",
            "r would have a second interface r-eth1, which its link to a has: give one of the two another name",
            2,
        ),
    ],
    ids=["module", "mininet-wifi", "containernet", "docker", "cluster", "function", "interface"],
)
def test_what_a_public_script_needs_and_is_not_there_is_one_sentence(
    text: str, sentence: str, code: int, tmp_path: Path
) -> None:
    done = lab7("script", written(tmp_path, f"setLogLevel('critical')\n{text}\n"), cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert sentence in one_sentence(done)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "Mininet(controller=lambda name: RemoteController(name)).addController('c0')",
            "the controller c0 is made by a function, and a testbed has no OpenFlow: ",
        ),
        ("RemoteController('c0', ip='127.0.0.1')", "the controller c0 is a RemoteController, and a testbed has no "),
        (
            "from mininet.net import MininetWithControlNet\nMininetWithControlNet(inNamespace=True)",
            "MininetWithControlNet is not supported: its control network leads from switches in namespaces of their ",
        ),
        ("Mininet(controller=RemoteController).addController('c0')", "the controller c0 is a RemoteController, and a "),
        (
            "Mininet(topo=Topo(), controller=partial(RemoteController, port=6))",
            "the controller c0 is a RemoteController",
        ),
        (
            "net = Mininet(host=partial(CPULimitedHost, cpu='half'))\nnet.addHost('h1')",
            "the host h1: cpu='half' is not a fraction of the machine's processor time: ",
        ),
        (
            "net = Mininet()\ns1 = net.addSwitch('s1')\nnet.start()\ns1.cmd('ovs-ofctl add-flow s1 actions=normal')",
            "the switch s1 is a Linux bridge, which ovs-ofctl cannot control: choose Open vSwitch by `--switch ovs`",
        ),
        (
            "net = Mininet()\ns1 = net.addSwitch('s1')\nnet.start()\ns1.dpctl('dump-flows')",
            "the switch s1 is a Linux bridge, which ovs-ofctl cannot control: choose Open vSwitch by `--switch ovs`",
        ),
        ("Mininet(inNamespace=True)", "inNamespace=True of Mininet() is not supported: all switches are in one"),
        (
            "Mininet(switch=UserSwitch).addSwitch('s1')",
            "the switch s1 has the class UserSwitch, which cannot be used: ",
        ),
        ("net = Mininet()\nnet.addHost('h1')\nnet.addHost('h1')", "a node 'h1' exists in this network already: "),
        ("Node('h0', inNamespace=False)", "Node() makes a part that no network knows: make it by net.addHost(), "),
        (
            "net = Mininet()\nIntf('eth1', node=net.addSwitch('s1'))",
            "Intf() makes a part that no network knows: make it ",
        ),
        ("net = Mininet()\nLink(net.addHost('a'), net.addHost('b'))", "Link() makes a part that no network knows: "),
        ("net = Mininet(\n", "mytopo.py cannot be read as Python: SyntaxError: "),
    ],
)
def test_what_a_script_cannot_have_is_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    done = lab7("script", written(tmp_path, f"setLogLevel('critical')\n{text}\n"), cwd=tmp_path)
    assert done.returncode in (2, 3)
    assert f"lab7: {sentence}" in one_sentence(done)


def test_options_of_topologies_and_files_that_are_not_there(tmp_path: Path) -> None:
    name = written(tmp_path, EMPTY)
    assert "so --set and --stp have no effect" in one_sentence(lab7("up", "--set", "n=1", name, cwd=tmp_path))
    assert "there is no file 'no.py'" in one_sentence(lab7("script", "no.py", cwd=tmp_path))
    assert "run it by `lab7 script mytopo.py`" in one_sentence(lab7("exec", name, "h1", "--", "true", cwd=tmp_path))
