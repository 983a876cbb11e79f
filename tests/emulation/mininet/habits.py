"""A script for Mininet that tries what its users rely on, and prints what each statement shows as JSON.

`python tests/emulation/mininet/habits.py KIND` runs it with stock Mininet, and `lab7 script` with lab7's. KIND: lxbr
(Linux bridges), or ovs (Open vSwitch, where the kernel has it).
"""

from __future__ import annotations

import io
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from mininet.cli import CLI
from mininet.link import TCLink
from mininet.log import lg
from mininet.net import Mininet
from mininet.node import OVSBridge
from mininet.nodelib import LinuxBridge
from mininet.topo import Topo
from mininet.util import dumpNodeConnections, dumpPorts, pmonitor, quietRun

SWITCHES = {"lxbr": LinuxBridge, "ovs": OVSBridge}
Ask = Callable[[Any], Any]


class ChainTopo(Topo):  # type: ignore[misc]
    """h1, h2 ── s1 ── s2 ── h3, h4."""

    def build(self) -> None:
        """h2 has a private folder, h4 a default route; the second switch has a numbered port."""
        near, far = self.addSwitch("s1"), self.addSwitch("s2", dpid="00000000000000ff")
        self.addLink(self.addHost("h1"), near)
        self.addLink(self.addHost("h2", privateDirs=["/var/log"]), near)
        self.addLink(near, far, port2=9)
        self.addLink(self.addHost("h3", ip="10.0.0.30/8"), far)
        self.addLink(self.addHost("h4", defaultRoute="via 10.0.0.1"), far)


# By the name of the function that tries it, in this order: each leaves the network as it was.
STATEMENTS: dict[str, Ask] = {}
OPEN_VSWITCH: dict[str, Ask] = {}


def statement(ask: Ask) -> Ask:
    STATEMENTS[ask.__name__] = ask
    return ask


def with_open_vswitch(ask: Ask) -> Ask:
    OPEN_VSWITCH[ask.__name__] = ask
    return ask


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Keep what Mininet prints."""
    (handler,) = lg.handlers
    before, handler.stream = handler.stream, io.StringIO()
    try:
        yield handler.stream
    finally:
        handler.stream = before


def typed(net: Any, *lines: str) -> str:
    """Return what Mininet's command line prints for these lines, without the advice that lab7 adds."""
    with tempfile.NamedTemporaryFile("w") as file, logged() as kept:
        file.write("".join(f"{line}\n" for line in lines))
        file.flush()
        CLI(net, script=file.name)
        return re.sub(r"(?m)^    a command runs in a host, .*\n", "", kept.getvalue().replace("\r", ""))


def said(text: str) -> list[str]:
    """Return the lines of a command's output, without those that are empty."""
    return [line.rstrip() for line in text.replace("\r", "").splitlines() if line.strip()]


def without_times(text: str) -> str:
    return re.sub(r"time[= ][\d.]+ ?ms|(?<=mdev)[ =\d./]+ ms", "", text)


def reached(net: Any, source: str, target: str) -> str:
    """Return the line of a ping that counts packets."""
    text = net[source].cmd(f"ping -n -c 2 -i 0.2 -W 1 {target}")
    return str(re.findall(r"\d received", text) or said(text))


# The command line.


@statement
def nodes(net: Any) -> Any:
    return typed(net, "nodes")


@statement
def net_lists_the_connections(net: Any) -> Any:
    return typed(net, "net")


@statement
def links(net: Any) -> Any:
    return typed(net, "links")


@statement
def intfs(net: Any) -> Any:
    return typed(net, "intfs")


@statement
def ports(net: Any) -> Any:
    return typed(net, "ports")


@statement
def dump(net: Any) -> Any:
    # Classes are lab7's, and process ids differ.
    return re.sub(r"<\w+ |pid=\d+", "", typed(net, "dump"))


@statement
def pingall(net: Any) -> Any:
    return typed(net, "pingall")


@statement
def pingpair(net: Any) -> Any:
    return typed(net, "pingpair")


@statement
def pingpairfull(net: Any) -> Any:
    return re.sub(r"rtt .*", "", typed(net, "pingpairfull"))


@statement
def names_of_hosts_are_addresses_in_commands(net: Any) -> Any:
    return without_times(typed(net, "h1 ping -n -c 1 h3"))


@statement
def py_and_px(net: Any) -> Any:
    return typed(net, "py h3.IP()", "px one = h1.MAC()", "py one", "py len(net.hosts)", "py h1.nonsense", "py 1 +")


@statement
def unknown_commands_and_nodes(net: Any) -> Any:
    return typed(net, "h9 ls", "frob", "h1", "link s1 s2", "link s1 s2 off", "switch s9 stop", "switch s1 pause")


@statement
def usage(net: Any) -> Any:
    return typed(net, "iperf h1", "iperfudp 1M", "dpctl", "iperf h1 h9")


@statement
def help_lists_the_commands(net: Any) -> Any:
    # cmd.Cmd prints the list; the examples below it are Mininet's, or lab7's own.
    with redirect_stdout(io.StringIO()) as printed:
        typed(net, "help")
    return said(printed.getvalue())


@statement
def comments_and_empty_lines(net: Any) -> Any:
    return typed(net, "", "noecho h1 echo shown", "h1 echo one; echo two")


@statement
def link_down_and_up(net: Any) -> Any:
    cut = typed(net, "link s1 s2 down", "links") + reached(net, "h1", "10.0.0.30")
    return cut + typed(net, "link s1 s2 up", "links") + reached(net, "h1", "10.0.0.30")


@statement
def link_of_a_host_down_and_up(net: Any) -> Any:
    cut = typed(net, "link h2 s1 down", "links")
    return cut + net["h2"].cmd("ip -br link show h2-eth0").split()[1] + typed(net, "link h2 s1 up", "links", "pingpair")


@statement
def link_between_what_has_none(net: Any) -> Any:
    return typed(net, "link h1 h3 down", "link h1 h9 down")


@statement
def switch_stop_and_start(net: Any) -> Any:
    cut = typed(net, "switch s2 stop") + reached(net, "h1", "10.0.0.30")
    return cut + typed(net, "switch s2 start") + reached(net, "h1", "10.0.0.30")


# The objects of a script.


@statement
def dumps_of_utilities(net: Any) -> Any:
    with logged() as kept:
        dumpNodeConnections(net.hosts)
        dumpPorts(net.switches)
    return kept.getvalue()


@statement
def the_network_is_a_mapping(net: Any) -> Any:
    pair = [node.name for node in net.get("h1", "s2")]
    return [list(net), len(net), "h1" in net, "h9" in net, net.keys(), [str(v) for v in net.values()], pair]


@statement
def mac_addresses_count_with_auto_set_macs(net: Any) -> Any:
    return {host.name: [host.MAC(), host.cmd(f"cat /sys/class/net/{host}-eth0/address").strip()] for host in net.hosts}


@statement
def data_path_ids(net: Any) -> Any:
    return {switch.name: [switch.dpid, switch.inNamespace] for switch in net.switches}


@statement
def connections(net: Any) -> Any:
    pairs = net["s1"].connectionsTo(net["s2"])
    between = net.linksBetween(net["s2"], net["h3"])
    ends = [[link.intf1.node.name, str(link.intf2), link.status()] for link in net.links]
    return [[[str(end) for end in pair] for pair in pairs], [str(link) for link in between], ends]


@statement
def interfaces_of_a_host(net: Any) -> Any:
    host = net["h4"]
    interface = host.defaultIntf()
    looked_up = [str(host.intf()), str(host.intf("h4-eth0")), host.intfNames(), [str(i) for i in host.intfList()]]
    return [looked_up, host.ports[interface], interface.IP(), interface.prefixLen, interface.isUp(), host.newPort()]


@statement
def parameters_and_attributes_of_a_host(net: Any) -> Any:
    host = net["h4"]
    return [sorted(host.params.items()), host.inNamespace, host.waiting, host.name]


@statement
def the_shell_of_a_host_lasts(net: Any) -> Any:
    host = net["h1"]
    host.cmd("cd /tmp; word=kept")
    return [said(host.cmd(line)) for line in ("pwd", "echo $word", "false", "echo $?", "nosuchcommand", "cd -")]


@statement
def cmd_takes_words_and_nodes(net: Any) -> Any:
    host, commands = net["h1"], (("echo", net["h3"].IP(), 7), ("printf 'a\\nb'",), (["echo", "list"],))
    return [said(host.cmd(*command)) for command in commands]


@statement
def jobs_in_the_background(net: Any) -> Any:
    host = net["h2"]
    host.cmd("sleep 60 &")
    return [bool(host.lastPid), said(host.cmd("jobs -r")), host.cmd("kill %sleep; wait") and said(host.cmd("jobs -r"))]


@statement
def send_and_wait(net: Any) -> Any:
    host = net["h1"]
    host.sendCmd("echo first; sleep 0.2; echo second")
    waiting = host.waiting
    text = said(host.waitOutput())
    host.sendCmd("echo begun; sleep 60; echo $?")
    # Not before the shell has read the line: the terminal drops what is not read at an interrupt.
    begun = said(host.monitor())
    host.sendInt()
    return [waiting, text, begun, host.waiting, "^C" in host.waitOutput(), host.waiting]


@statement
def monitor_yields_output(net: Any) -> Any:
    for host in net.hosts:
        host.sendCmd(f"echo {host.name}")
    found = dict.fromkeys(net.hosts, "")
    while any(host.waiting for host in net.hosts):
        for host in net.hosts:
            found[host] += host.monitor() if host.waiting else ""
    return {host.name: said(text) for host, text in found.items()}


@statement
def popen(net: Any) -> Any:
    host, found = net["h3"], []
    for words, options in ((["echo", "a b"], {}), ("echo a  b", {}), ("echo $((1 + 1)); exit 3", {"shell": True})):
        process = host.popen(words, **options)
        out, err = process.communicate()
        found.append([out.decode(), err.decode(), process.returncode])
    return found


@statement
def popen_is_in_the_host(net: Any) -> Any:
    return [host.popen("ip -br -4 addr show dev lo").communicate()[0].decode() for host in net.hosts] + [
        len({host.popen("readlink /proc/self/ns/net").communicate()[0] for host in net.hosts})
    ]


@statement
def pexec(net: Any) -> Any:
    return [net["h1"].pexec("echo out"), net["h1"].pexec("sh", "-c", "echo bad >&2; exit 4"), quietRun("echo quiet")]


@statement
def pmonitor_of_two_hosts(net: Any) -> Any:
    running = {name: net[name].popen(["sh", "-c", "echo 1; echo 2"]) for name in ("h1", "h4")}
    return sorted([name, line] for name, line in pmonitor(running) if line)


@statement
def private_folders(net: Any) -> Any:
    net["h2"].cmd("echo of h2 > /var/log/lab7-habit")
    return [said(net[name].cmd("cat /var/log/lab7-habit")) for name in ("h1", "h2")]


@statement
def results_of_pings(net: Any) -> Any:
    with logged() as kept:
        full = net.pingFull([net["h1"], net["h4"]])
        rates = [net.ping([net["h1"], net["h3"]]), net.pingAll(timeout=1), net.pingPair()]
    counts = [[str(source), str(target), list(found[:2])] for source, target, found in full]
    return [rates, counts, re.sub(r"rtt .*", "", kept.getvalue())]


@statement
def set_ip(net: Any) -> Any:
    host = net["h2"]
    host.setIP("10.0.0.99/24")
    found = [host.IP(), said(host.cmd("ip -br -4 addr show dev h2-eth0"))[0].split()[2:]]
    found += [said(host.cmd("ip route")), reached(net, "h2", "10.0.0.1"), reached(net, "h1", "10.0.0.99")]
    host.setIP("10.0.0.2", 8)
    return [*found, host.IP(), said(host.cmd("ip route")), reached(net, "h1", "10.0.0.2")]


@statement
def set_mac(net: Any) -> Any:
    host = net["h2"]
    host.setMAC("00:00:00:00:00:77")
    found = [host.MAC(), host.cmd("cat /sys/class/net/h2-eth0/address"), said(host.cmd("ip -br link show dev h2-eth0"))]
    host.setMAC("00:00:00:00:00:02")
    return [found[:2], host.MAC(), host.intf().updateMAC()]


@statement
def routes(net: Any) -> Any:
    host = net["h1"]
    host.setHostRoute("192.0.2.7", "h1-eth0")
    host.setDefaultRoute("via 10.0.0.30")
    found = said(host.cmd("ip route"))
    host.cmd("ip route del 192.0.2.7; ip route del default")
    host.setDefaultRoute("h1-eth0")
    return [found, said(host.cmd("ip route")), said(host.cmd("ip route del default; ip route"))]


@statement
def set_arp(net: Any) -> Any:
    host = net["h1"]
    host.setARP("10.0.0.200", "00:00:00:00:02:00")
    return [said(host.cmd("arp -n 10.0.0.200")), said(host.cmd("arp -d 10.0.0.200; arp -n 10.0.0.200"))]


@statement
def static_arp(net: Any) -> Any:
    net.staticArp()
    found = {host.name: sorted(said(host.cmd("ip neigh show nud permanent"))) for host in net.hosts}
    for host in net.hosts:
        host.cmd("ip neigh flush nud permanent")
    return [found, reached(net, "h1", "10.0.0.30")]


@statement
def interfaces_go_down_and_up(net: Any) -> Any:
    interface = net["h3"].intf()
    found = [said(interface.ifconfig("down")), interface.isUp(), interface.isUp(setUp=True)]
    return [*found, interface.updateIP(), interface.updateAddr(), interface.status(), reached(net, "h1", "10.0.0.30")]


@statement
def interfaces_are_renamed(net: Any) -> Any:
    interface = net["h3"].intf()
    interface.ifconfig("down")
    interface.rename("wan0")
    interface.ifconfig("up")
    found = [str(interface), said(net["h3"].cmd("ls /sys/class/net"))]
    interface.ifconfig("down")
    interface.rename("h3-eth0")
    interface.ifconfig("up")
    return [*found, reached(net, "h1", "10.0.0.30")]


@statement
def hosts_join_and_leave(net: Any) -> Any:
    host = net.addHost("h5")
    link = net.addLink(host, net["h1"])
    host.configDefault()
    net["h1"].cmd("ip addr add 10.5.0.1/24 dev h1-eth1; ip link set h1-eth1 up")
    host.setIP("10.5.0.5/24")
    found = [host.IP(), host.MAC(), str(link), reached(net, "h5", "10.5.0.1"), typed(net, "net", "intfs")]
    net.delLink(link)
    net.delHost(host)
    return [*found, typed(net, "nodes", "net"), said(net["h1"].cmd("ls /sys/class/net"))]


@statement
def hosts_in_the_namespace_of_the_switches(net: Any) -> Any:
    root = net.addHost("root", inNamespace=False)
    link = net.addLink(root, net["h1"], params1={"ip": "10.7.0.6/24"}, params2={"ip": "10.7.0.1/24"})
    root.setIP("10.7.0.6/24")
    seen = set(root.cmd("ls /sys/class/net").split()) & {"lo", "root-eth0", "h1-eth0", "s1-eth1", "s2-eth9"}
    found = [root.inNamespace, sorted(seen), str(link), link.status(), reached(net, "root", "10.7.0.1")]
    found += [reached(net, "h1", "10.7.0.6"), said(root.cmd("ip -br -4 addr show dev root-eth0"))[0].split()[2:]]
    net.delLink(link)
    net.delHost(root)
    return [*found, quietRun("ls /sys/class/net").count("root-eth0"), net["h1"].intfNames()]


@statement
def links_leave_and_return(net: Any) -> Any:
    cable = net.addLink("h1", "h3", params1={"ip": "10.6.0.1/24"}, params2={"ip": "10.6.0.3/24"})
    found = [str(cable), cable.status(), reached(net, "h1", "10.6.0.3")]
    gone = net.delLinkBetween(net["h1"], net["h3"])
    return [*found, len(gone), len(net.links), net["h1"].intfNames(), reached(net, "h1", "10.0.0.30")]


@statement
def datagrams_and_streams(net: Any) -> Any:
    server, client = net["h3"], net["h1"]
    receive = "import socket; s = socket.create_server(('', 7007)); c = s.accept()[0]; print(c.recv(99).decode())"
    process = server.popen(["python3", "-c", receive])
    send = "import socket; socket.create_connection(('10.0.0.30', 7007)).sendall(b'hello')"
    while client.pexec("python3", "-c", send)[2] != 0:
        assert process.poll() is None
    return process.communicate(timeout=30)[0].decode()


# With Open vSwitch: the machine's daemons in stock Mininet.


@with_open_vswitch
def ovs_vsctl_show(_net: Any) -> Any:
    # In any order.
    return sorted(line for line in said(quietRun("ovs-vsctl show")) if re.search(r"Bridge|Port|type|fail_mode", line))


@with_open_vswitch
def bridges_and_ports(net: Any) -> Any:
    listed = [said(quietRun(f"ovs-vsctl {words}")) for words in ("list-br", "list-ports s1", "br-to-parent s2")]
    return [listed, said(net["s1"].vsctl("get bridge s1 other_config:dp-desc"))]


@with_open_vswitch
def columns_of_a_bridge(net: Any) -> Any:
    names = ("fail_mode", "datapath_type", "protocols", "stp_enable", "controller", "other_config", "datapath_id")
    return {name: said(net["s2"].vsctl("get", "bridge", "s2", name)) for name in names}


@with_open_vswitch
def numbers_of_ports(net: Any) -> Any:
    text = net["s2"].dpctl("show")
    return [re.findall(r"dpid:(\w+)", text), re.findall(r"^ (\w+)\(([\w-]+)\)", text, re.MULTILINE)]


@with_open_vswitch
def flows(net: Any) -> Any:
    return re.findall(r"priority=\d+ .*|actions=.*", net["s1"].dpctl("dump-flows").replace("\r", ""))


@with_open_vswitch
def dpctl_asks_every_switch(net: Any) -> Any:
    return re.findall(r"\*\*\* \w+|actions=\w+", typed(net, "dpctl dump-flows"))


@with_open_vswitch
def flows_of_one_s_own(net: Any) -> Any:
    switch = net["s1"]
    switch.dpctl("add-flow", "priority=100,icmp,actions=drop")
    found = [reached(net, "h1", "10.0.0.2"), re.findall(r"actions=\w+", switch.dpctl("dump-flows"))]
    switch.dpctl("del-flows", "icmp")
    return [*found, reached(net, "h1", "10.0.0.2"), re.findall(r"actions=\w+", switch.dpctl("dump-flows"))]


@with_open_vswitch
def learned_addresses(net: Any) -> Any:
    net["h1"].cmd("ping -c 1 -W 1 10.0.0.30")
    rows = [line.split()[:3] for line in said(quietRun("ovs-appctl fdb/show s2"))]
    return sorted(row for row in rows if row[2] in {host.MAC() for host in net.hosts})


@with_open_vswitch
def ports_are_attached_and_detached(net: Any) -> Any:
    switch, interface = net["s2"], net["s2"].intf("s2-eth2")
    switch.detach(interface)
    found = [said(quietRun("ovs-vsctl list-ports s2")), reached(net, "h1", "10.0.0.30")]
    switch.attach(interface)
    return [*found, sorted(said(quietRun("ovs-vsctl list-ports s2"))), reached(net, "h1", "10.0.0.30")]


def tried(net: Any, asks: dict[str, Ask]) -> dict[str, Any]:
    """Return what each statement shows; an error counts by its class and its words."""
    found = {}
    for name, ask in asks.items():
        # For a kernel in which all of it takes long.
        print(f"{time.monotonic():.1f} {name}", file=sys.stderr, flush=True)
        try:
            found[name] = ask(net)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


def main(kind: str) -> None:
    """Start the network as a course does, try the statements, and print what they show."""
    net = Mininet(topo=ChainTopo(), switch=SWITCHES[kind], link=TCLink, controller=None, autoSetMacs=True)
    net.start()
    try:
        found = tried(net, STATEMENTS | (OPEN_VSWITCH if kind == "ovs" else {}))
    finally:
        net.stop()
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
