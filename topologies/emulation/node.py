"""Mininet's hosts, switches and interfaces, configured through namespaces and iproute2 instead of a shell per node.

A node behaves as a Mininet Node towards topologies and Mininet's command line. Differences: a host's namespaces are
held by one small process of the fork server, addresses are set by `ip -batch`, whose error messages become exceptions,
and Mininet's bash per node is started by the first call of cmd().
"""

import os
import shlex
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mininet.link import Intf
from mininet.node import Node, Switch

from topologies.emulation import sandbox, tools
from topologies.emulation.errors import EmulationError
from topologies.emulation.links import device
from topologies.emulation.process import namespaces
from topologies.emulation.process.host_process import NAMED
from topologies.emulation.process.launcher import ForkServer, Service, start_service
from topologies.emulation.process.program import Program
from topologies.emulation.shape import SHAPING
from topologies.emulation.watch import HOLDER as HOLDER_RANK
from topologies.emulation.watch import program_of

HOST_PROCESS = "topologies.emulation.process.host_process"
RUN_TIMEOUT_S = 60.0


class Interface(Intf):  # type: ignore[misc]
    """An interface created by its link, with its MAC address, in the node's namespace.

    ip6: the IPv6 address that the link's parameters set, with the length of its prefix.
    """

    ip6: str | None = None

    def config(self, ip: str | None = None, ip6: str | None = None, **params: Any) -> dict[str, Any]:
        """Bring the interface up with offload off, and set its address if the link's parameters have one.

        Raises EmulationError for shaping parameters: a link is shaped when it is created.
        """
        if shaping := [f"{name}={params[name]!r}" for name in SHAPING if params.get(name) is not None]:
            raise EmulationError(
                f"the link of {self.name} is up and cannot be reshaped: "
                f"give {', '.join(shaping)} to addLink() and start again"
            )
        if not self.node.namespace_pid:
            ipv6_off(self.name)
        device.bring_up(self.name, self.node.namespace_pid)
        device.switch_offload_off(self.name, self.node.namespace_pid)
        if ip is not None:
            self.setIP(ip)
        self.ip6 = ip6 or self.ip6
        return {}

    def setIP(self, ipstr: str, prefixLen: int | None = None) -> str:  # noqa: N802, N803
        """Set the address: '10.0.0.1/24', or an address and a prefix length."""
        tools.batch("ip", self.assign_address(ipstr, prefixLen), self.node.namespace_pid)
        return ""

    def setMAC(self, macstr: str) -> str:  # noqa: N802
        """Refuse: static forwarding and neighbour tables contain the address. Raises EmulationError."""
        raise EmulationError(
            f"{self.name} is up and keeps its address {self.mac}, which is in all hosts' and switches' tables: give "
            f"mac={macstr!r} to addHost(), or addr1 or addr2 to addLink(), and start again"
        )

    def assign_address(self, ip: str, prefix_length: int | None = None) -> list[str]:
        """Record the address; return the lines for `ip -batch` that set it."""
        self.ip, _, length = ip.partition("/")
        self.prefixLen = length or str(prefix_length)
        # Those of IPv6 stay, the link-local one of the kernel included.
        return [
            f"address flush dev {self.name} to 0.0.0.0/0",
            f"address add {self.ip}/{self.prefixLen} brd + dev {self.name}",
        ]

    def delete(self) -> None:
        """Remove the interface from the switches' namespace; a host's vanishes with its peer or its namespace."""
        # Delete immediately: the kernel removes a dead namespace's interfaces some time later.
        if not self.node.namespace_pid:
            remove(self.name)
        self.node.delIntf(self)
        self.link = None


def remove(interface: str) -> None:
    """Remove an interface from the switches' namespace if it exists. Raises EmulationError."""
    place = Path("/proc/sys/net/ipv4/conf", interface)
    if place.exists():
        try:
            tools.batch("ip", [f"link delete dev {interface}"])
        except EmulationError:
            # The kernel may have been faster: the process at its other end has died.
            if place.exists():
                raise


def ipv6_off(interface: str) -> None:
    """Disable IPv6 on a switch's interface: its multicast listener reports would appear on the links."""
    switch = Path("/proc/sys/net/ipv6/conf", interface, "disable_ipv6")
    if switch.exists():
        switch.write_text("1")


class _LazyShell(Node):  # type: ignore[misc]
    """A node whose bash is started by the first cmd(), in the node's own namespaces."""

    namespace_pid = 0

    def startShell(self, mnopts: str | None = None) -> None:  # noqa: N802, ARG002
        """Defer: the shell is started by the first command."""
        self.pid = self.namespace_pid or os.getpid()

    def _open_shell(self) -> None:
        if self.shell is None:
            super().startShell("-cd" if not self.inNamespace else "-c")
            self.pid = self.namespace_pid or self.pid

    def _popen(self, cmd: list[str], **params: Any) -> subprocess.Popen[bytes]:
        # Mininet runs its shell through mnexec and its programs through `mnexec -da PID`; replace both by nsenter.
        words = cmd[2:] if cmd[0] == "mnexec" else cmd
        if words and cmd[:2] == ["mnexec", "-da"]:
            words = words[1:]
        if self.namespace_pid:
            words = [*self.entering(), *words]
        params.setdefault("start_new_session", True)
        return subprocess.Popen(words, **params)

    def entering(self, cwd: str | None = None) -> list[str]:
        """Return the command prefix that enters this node, in its own folder or in `cwd`."""
        kinds = ["--net", "--mount", "--uts"]
        return ["nsenter", f"--target={self.namespace_pid}", *kinds, f"--wdns={cwd or self.workdir}", "--"]

    workdir: Path = Path("/")

    def sendCmd(self, *args: Any, **kwargs: Any) -> None:  # noqa: N802
        """Send a command to the shell, starting the shell if there is none; see Mininet."""
        self._open_shell()
        kwargs.pop("printPid", None)
        super().sendCmd(*args, **kwargs)

    def cmd(self, *args: Any, **kwargs: Any) -> str:
        """Run a command in the shell, starting the shell if there is none; see Mininet."""
        self._open_shell()
        return str(super().cmd(*args, **kwargs))


class Host(_LazyShell):
    """A host of a topology: its own network, mounts, host name, /etc/hosts and /etc/resolv.conf.

    Parameters beside Mininet's: `serves` (a command line or a list of them: modules of the project, Python files with a
    main(argv), or programs, which are ready when they listen on the TCP port `listens`), `names` (domain names of the
    host), `resolver` (address of its recursive resolver), `files` (path to text: initial contents of its folder),
    `forwards` (IP forwarding is on: the host is a router), `routes` (static routes, in words of ip-route(8)), `ip6`
    (IPv6 address with prefix length, of the first interface), `setup` (command lines of a shell, run to completion
    before any service starts).
    """

    def __init__(
        self,
        name: str,
        *,
        forkserver: ForkServer,
        workdir: Path,
        congestion_control: str,
        ipv6: bool = False,
        **params: Any,
    ) -> None:
        self.forkserver = forkserver
        self.workdir = workdir / name
        self.files = workdir / "etc" / name
        self._congestion_control = congestion_control
        self.has_ipv6 = ipv6
        self._started = 0
        self.services: list[Service | Program] = []
        params["privateDirs"] = params.get("privateDirs") or []
        super().__init__(name, **params)

    def startShell(self, mnopts: str | None = None) -> None:  # noqa: N802
        """Start the process that holds the host's namespaces."""
        self.workdir.mkdir()
        for name, text in (self.params.get("files") or {}).items():
            (self.workdir / name).parent.mkdir(parents=True, exist_ok=True)
            (self.workdir / name).write_text(text)
        self.files.mkdir(parents=True, exist_ok=True)
        command = [HOST_PROCESS, self.name, str(self.files), self._congestion_control]
        command += ["ipv6"] if self.has_ipv6 else []
        called = f"the process of host {self.name}'s namespaces ({HOST_PROCESS})"
        self.holder = start_service(
            self.forkserver, command, host_pid=0, cwd=self.workdir, name="host", called=called, rank=HOLDER_RANK
        )
        self.holder.lasts = True
        self.holder.wait_ready()
        self.namespace_pid = self.holder.pid
        if sandbox.inside():
            # As `ip netns attach` does, so that `ip netns exec NAME` in a sandbox finds the host by its name.
            namespaces.bind_file(Path(f"/proc/{self.namespace_pid}/ns/net"), NAMED / self.name)
        super().startShell(mnopts)

    def config(
        self,
        ip: str | None = None,
        mac: str | None = None,  # noqa: ARG002 - its link has set it
        defaultRoute: str | None = None,  # noqa: N803
        **_params: Any,
    ) -> dict[str, Any]:
        """Set the default interface's address and the default route ('via 10.0.0.1')."""
        device.bring_up("lo", self.namespace_pid)
        lines = []
        interface = self.defaultIntf() if self.intfs else None
        if interface is not None and ip is not None and interface.ip is None:
            lines += interface.assign_address(ip, 8)
        if defaultRoute is not None:
            # As in Node.setDefaultRoute: a single word is the name of an interface.
            route = defaultRoute if " " in defaultRoute else f"dev {defaultRoute}"
            lines.append(f"route replace default {route}")
        tools.batch("ip", lines, self.namespace_pid)
        if self.params.get("forwards"):
            switches = ["/proc/sys/net/ipv4/ip_forward"]
            switches += ["/proc/sys/net/ipv6/conf/all/forwarding"] if self.has_ipv6 else []
            self.run(["sh", "-c", f"echo 1 | tee {' '.join(switches)}"])
        return {}

    def IP(self, intf: Any = None) -> Any:  # noqa: N802
        """Return the address of an interface, by default of the first; None without address or without a link."""
        return super().IP(intf) if self.intfs else None

    def MAC(self, intf: Any = None) -> Any:  # noqa: N802
        """Return the MAC address of an interface, by default of the first; None without a link."""
        return super().MAC(intf) if self.intfs else None

    def popen(self, *args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        """Start a program in the host, given as a list of words or one string; keywords as for subprocess.Popen."""
        words = args[0] if len(args) == 1 else list(args)
        if isinstance(words, str):
            words = ["sh", "-c", words] if kwargs.pop("shell", False) else shlex.split(words)
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([*self.entering(), *words], **kwargs)

    def run(
        self, words: Sequence[str], timeout_s: float = RUN_TIMEOUT_S, **kwargs: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program in the host to completion; return its output and exit code.

        Raises EmulationError on a timeout.
        """
        kwargs.setdefault("capture_output", True)
        try:
            return subprocess.run([*self.entering(), *words], timeout=timeout_s, check=False, **kwargs)
        except subprocess.TimeoutExpired:
            raise EmulationError(f"`{shlex.join(words)}` in {self.name} took longer than {timeout_s:g} s") from None

    def set_up(self) -> None:
        """Run the command lines of `setup`. Raises EmulationError with the last error message of one that fails."""
        lines = self.params.get("setup") or []
        for line in [lines] if isinstance(lines, str) else lines:
            done = self.run(["sh", "-c", line])
            if done.returncode != 0:
                said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
                reason = said[-1].strip() if said else f"exit code {done.returncode}"
                raise EmulationError(f"the set-up command `{line}` of {self.name} failed: {reason}")

    def start(self, command: str | Sequence[str], *, wait: bool = True, serves: bool = False) -> Service:
        """Start a module's main in the host; by default, wait for READY.

        serves: the service runs until it is stopped, so that any earlier exit, with exit code 0 too, is fatal to the
        lab (see watch).
        """
        self._started += 1
        shown = command if isinstance(command, str) else shlex.join(command)
        service = start_service(
            self.forkserver,
            command,
            host_pid=self.namespace_pid,
            cwd=self.workdir,
            name=f"service{self._started}",
            called=program_of(shown, self.name),
        )
        if serves:
            service.expect_to_serve()
        self.services.append(service)
        if wait:
            service.wait_ready()
        return service

    def start_program(
        self, words: Sequence[str], port: int | None = None, cwd: str | None = None, by_udp: bool = False
    ) -> Program:
        """Start an external program as a service; with a port, wait until the host listens there.

        by_udp: a bound UDP socket on that port counts too. Afterwards its exit is fatal to the lab (see watch) unless
        it is stopped; without a port it may be a set-up command, which may exit with code 0.
        """
        self._started += 1
        output = self.workdir / f"program{self._started}.log"
        program = Program(words, self.entering(cwd), self.namespace_pid, output)
        self.services.append(program)
        if port is not None:
            program.wait_listening(port, by_udp=by_udp)
        program.watch_over(self.forkserver.watch, program_of(program.command, self.name), may_end=port is None)
        return program

    def terminate(self) -> None:
        """Stop the services, the shell and the namespace holder; the namespaces vanish with the last process."""
        for service in self.services:
            service.stop()
        super().terminate()
        if sandbox.inside():
            namespaces.unmount(NAMED / self.name)
            (NAMED / self.name).unlink()
        self.holder.kill()
        self.holder.stop()


class Bridge(_LazyShell, Switch):  # type: ignore[misc]
    """A switch: one Linux bridge without spanning tree and without a learning delay.

    mirrors: every port gets a copy of every frame, as a mirror (SPAN) port does, for a sniffer in promiscuous mode.
    """

    def __init__(self, name: str, mirrors: bool = False, **params: Any) -> None:
        self.mirrors = mirrors
        # The data path id, which Switch would derive from the name, is for OpenFlow only: any name is allowed.
        self._made = False
        super().__init__(name, **{**params, "dpid": params.get("dpid") or "1"})
        self._made = True

    def cmd(self, *args: Any, **kwargs: Any) -> str:
        """Run a command in the shell; see Mininet. While the switch is made nothing is run.

        Mininet brings the loopback interface up then, which is up already: each switch would keep a bash of its own.
        """
        return super().cmd(*args, **kwargs) if self._made else ""

    def start(self, _controllers: Sequence[Any]) -> None:
        """Create the bridge and attach its ports."""
        ports = [intf.name for intf in self.intfList() if intf.name != "lo"]
        plugs = [f"link set dev {port} master {self.name}" for port in ports]
        # A bridge with learning off floods every frame. ageing_time 0 floods too, but br_fdb_cleanup() of Linux then
        # scans for old entries every 10 ms: 8.6 million times a day.
        plugs += [f"link set dev {port} type bridge_slave learning off" for port in ports if self.mirrors]
        kind = "bridge forward_delay 0 stp_state 0 mcast_snooping 0"
        tools.batch("ip", [f"link add {self.name} type {kind}", *plugs, f"link set dev {self.name} up"])
        ipv6_off(self.name)

    def add_static_entries(self, places: Iterable[tuple[str, str]]) -> None:
        """Install static forwarding entries (MAC address, port): nothing is learned, flooded or aged."""
        tools.batch("bridge", [f"fdb replace {mac} dev {port} master static" for mac, port in places])

    def stop(self, deleteIntfs: bool = True) -> None:  # noqa: N803, ARG002
        """Remove the bridge; its interfaces went with their links."""
        remove(self.name)
