"""Mininet's hosts and switches, configured through namespaces and iproute2 instead of a shell per node.

A node behaves as a Mininet Node towards topologies and Mininet's command line. There are three differences. A host's
namespaces are held by one small process, which is forked by a server process for a fast start. Addresses are set by
`ip -batch`, whose error messages become exceptions. Mininet's bash of a node is started by the first call of cmd().
"""

import json
import os
import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mininet.node import Node
from mininet.nodelib import LinuxBridge

from lab7.topologies.emulation import sandbox, tools
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.hosts import idle_commands
from lab7.topologies.emulation.links.interface import ipv6_off, remove
from lab7.topologies.emulation.links.plan import Plan
from lab7.topologies.emulation.process import namespaces
from lab7.topologies.emulation.process.holder import Holder
from lab7.topologies.emulation.process.host_process import NAMED
from lab7.topologies.emulation.process.launcher import ForkServer, Service, split_command, start_service
from lab7.topologies.emulation.process.program import Program
from lab7.topologies.emulation.virtual import alignment
from lab7.topologies.emulation.watch import program_of

# Default time limits of run(), in real and in virtual time, where a program that waits in vain reaches a limit at once.
RUN_TIMEOUT_S, RUN_TIMEOUT_VIRTUAL_S = 60.0, 86_400.0
# Spanning tree times in 1/100 s for ip-link(8): the minima of IEEE 802.1D-1998 table 8-3.
SPANNING_TREE = "forward_delay 400 hello_time 100 max_age 600"


def run_timeout_s(environment: Mapping[str, str] = os.environ) -> float:
    """Return the default time limit of Host.run() in seconds: in virtual time a day, else a minute."""
    return RUN_TIMEOUT_VIRTUAL_S if alignment.VARIABLE in environment else RUN_TIMEOUT_S


# Attributes of a Mininet Node that belong to its bash.
SHELL = ("shell", "stdin", "stdout", "pollOut", "master", "slave")


class LazyShell(Node):  # type: ignore[misc]
    """A Mininet node whose bash is started on first use (cmd(), `shell`, `stdout`), in the node's namespaces."""

    namespace_pid = 0
    # Pending changes of the network; a testbed's nodes share one plan.
    plan = Plan()

    def network_pid(self) -> int:
        """Return the id of a process in the node's namespaces (0: this process); apply no pending changes first."""
        return 0

    def change(self, lines: Iterable[str]) -> None:
        """Run commands of ip(8) in the node's network namespace: at once, or with the network's pending changes."""
        self.plan.node(self).lines.extend(lines)
        self.plan.made()

    def startShell(self, mnopts: str | None = None) -> None:  # noqa: N802, ARG002
        """Do nothing, because the first use of the shell starts it."""
        for name in SHELL:
            self.__dict__.pop(name, None)
        self.pid = os.getpid()

    def __getattr__(self, name: str) -> Any:
        """Start the shell if one of the attributes in SHELL is read; raise AttributeError for any other name."""
        if name not in SHELL:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._open_shell()
        return self.__dict__[name]

    def _open_shell(self) -> None:
        self.plan.flush()
        self.__dict__.update(dict.fromkeys(SHELL))
        super().startShell("-cd" if not self.inNamespace else "-c")

    def sendCmd(self, *args: Any, **kwargs: Any) -> None:  # noqa: N802
        """Start a command in the node's shell, as cmd() does. Raises EmulationError as check_command() does."""
        self.check_command(args)
        super().sendCmd(*args, **kwargs)

    def popen(self, *args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        """Start a program in the node, as pexec() does. Raises EmulationError as check_command() does."""
        self.check_command(args)
        return super().popen(*args, **kwargs)  # type: ignore[no-any-return]

    def check_command(self, words: Sequence[Any]) -> None:
        """Raise EmulationError for a command that would have no effect, because this kernel lacks netem or VLANs."""
        idle_commands.check(self.name, words)

    def terminate(self) -> None:
        """End the shell if it was started (overrides Node.terminate)."""
        if "shell" not in self.__dict__:
            self.shell = None
        super().terminate()

    def unmountPrivateDirs(self) -> None:  # noqa: N802
        """Do nothing, because private folders vanish with the mount namespace of the host."""

    def _popen(self, cmd: list[str], **params: Any) -> subprocess.Popen[bytes]:
        # Mininet runs shell and programs through mnexec; the listed mnexec words are replaced by words of nsenter.
        words = cmd[2:] if cmd[0] == "mnexec" else cmd
        if words and cmd[:2] == ["mnexec", "-da"]:
            words = words[1:]
        self.plan.flush()
        if self.namespace_pid:
            words = [*self.entering(), *words]
        params.setdefault("start_new_session", True)
        return subprocess.Popen(words, **params)

    def entering(self, cwd: str | None = None) -> list[str]:
        """Return the command prefix (nsenter) that runs a command in this node's namespaces and in a folder.

        cwd: the folder, by default the node's own.
        """
        place = cwd or self.folder or self.workdir
        return ["nsenter", *self._namespaces(), f"--wdns={place}", "--"]

    def _namespaces(self) -> list[str]:
        """Return the options of nsenter(1) for this node's namespaces."""
        return []

    workdir: Path = Path("/")
    # Current directory of the shell and of programs in this node; None stands for `workdir`.
    folder: Path | None = None


# Shell script that creates the folder $1. The file system's root cannot be replaced: processes of the host keep theirs.
# `mount -c` does not resolve the path of ./NAME, which leads to the folder below the new mount.
_MAKE_FOLDER = """
mkdir -p -- "$1" 2>/dev/null && exit
above=$1
until [ -d "$above" ]; do above=$(dirname -- "$above"); done
cd -- "$above" && above=$(pwd -P)
if ! [ -w "$above" ] && [ "$above" != / ]; then
    mount -n -t tmpfs -o "mode=$(stat -c %a .)" tmpfs "$above" || exit
    for name in * .[!.]* ..?*; do
        if [ -L "$name" ]; then
            ln -s -- "$(readlink -- "$name")" "$above/$name"
        elif [ -d "$name" ]; then
            mkdir -- "$above/$name" && mount -n -c --rbind "./$name" "$above/$name"
        elif [ -e "$name" ]; then
            : > "$above/$name" && mount -n -c --bind "./$name" "$above/$name"
        fi
    done
fi
mkdir -p -- "$1"
"""


class Host(LazyShell):
    """A host of a topology: its own network, mounts, host name, /etc/hosts and /etc/resolv.conf.

    Parameters of addHost() in addition to Mininet's:

        serves     command line of a service, or a list of them: a module of the project, a Python file with a
                   main(argv), or another program
        listens    TCP port of another program, which is ready when it listens there
        names      domain names of the host
        resolver   address of its recursive resolver
        files      path -> text: initial contents of its folder
        forwards   IP forwarding is on: the host is a router
        routes     static routes, in the syntax of ip-route(8)
        ip6        IPv6 address with prefix length, of the first interface
        setup      command lines of a shell, run to completion before any service starts
    """

    forkserver: ForkServer
    # Folder in which start_program(keep=True) keeps the output of programs.
    output_folder: Path | None = None
    has_ipv6 = False

    def equip(
        self,
        *,
        forkserver: ForkServer,
        workdir: Path,
        congestion_control: str,
        plan: Plan,
        ipv6: bool = False,
        ipv6_in_kernel: bool = False,
        folder: Path | None = None,
    ) -> None:
        """Set the attributes of the host that come from the testbed.

        Called before __init__, which a user's class may replace. ipv6: the host gets an IPv6 address; ipv6_in_kernel:
        IPv6 is enabled, for addresses that commands in the host set.
        """
        self.folder = folder
        self.plan = plan
        self.forkserver = forkserver
        self._testbed_folder = workdir
        self._congestion_control = congestion_control
        self.has_ipv6 = ipv6
        self._ipv6_in_kernel = ipv6 or ipv6_in_kernel
        self._started = 0
        self._terminated = False
        self.services: list[Service | Program] = []

    def startShell(self, mnopts: str | None = None) -> None:  # noqa: N802
        """Start the process that holds the host's namespaces."""
        self.workdir = self._testbed_folder / self.name
        self.files = self._testbed_folder / "etc" / self.name
        self.workdir.mkdir()
        for name, text in (self.params.get("files") or {}).items():
            (self.workdir / name).parent.mkdir(parents=True, exist_ok=True)
            (self.workdir / name).write_text(text)
        self.files.mkdir(parents=True, exist_ok=True)
        arguments = [self.name, str(self.files), self._congestion_control]
        arguments += ["ipv6"] if self._ipv6_in_kernel else []
        arguments += ["forwards"] if self.params.get("forwards") else []
        arguments += [] if self.inNamespace else ["shared"]
        self._holder = Holder(self.forkserver, self.name, arguments, self.workdir)
        if sandbox.inside():
            self.plan.calls.append(self._name_namespace)
        self.plan.made()
        super().startShell(mnopts)

    def _name_namespace(self) -> None:
        """Bind-mount the namespace file, as `ip netns attach` does, so that `ip netns exec NAME` works in a sandbox."""
        namespaces.bind_file(f"/proc/{self.network_pid()}/ns/net", str(NAMED / self.name))

    def network_pid(self) -> int:
        """Return the id of a process in the host's namespaces; apply no pending changes of the network first."""
        return self._holder.pid

    @property
    def namespace_pid(self) -> int:  # type: ignore[override]
        """Return the id of a process in the host's namespaces (see holder), after applying pending changes."""
        self.plan.flush()
        return self._holder.pid

    @property
    def pid(self) -> int:
        """Return `namespace_pid` under the name that Mininet's API uses."""
        return self.namespace_pid

    @pid.setter
    def pid(self, _pid: int) -> None:
        """Ignore the assigned value: Mininet sets `pid` to the process id of the host's shell."""

    def namespace_files(self) -> list[str]:
        """Return the files of the host's network, UTS and mount namespaces, which outlive every process of the host."""
        self.plan.flush()
        return self._holder.files()

    def _namespaces(self) -> list[str]:
        network, names, mounts = self.namespace_files()
        return [f"--net={network}", f"--uts={names}", f"--mount={mounts}"]

    def mountPrivateDirs(self) -> None:  # noqa: N802
        """Mount Mininet's private folders of the host; if /run is one, the testbed's folder in it stays visible.

        Raises EmulationError if a folder cannot be made.
        """
        if self.privateDirs:
            self.cmd(f"cd {self.workdir}")
        for entry in self.privateDirs:
            folder, *source = [entry] if isinstance(entry, str) else entry
            for path in (*(each % self.__dict__ for each in source), folder):
                self._make_folder(path)
        super().mountPrivateDirs()
        if self.privateDirs and not self.run_in_namespaces(["test", "-d", str(self.workdir)]):
            # `mount -c` does not resolve the path of `..` again, which would fail below the new mount.
            self.cmd(f"mkdir -p {self._testbed_folder}; mount -c --bind .. {self._testbed_folder}")
        if self.privateDirs:
            self.cmd(f"cd {self.folder or self.workdir}")

    def _make_folder(self, path: str) -> None:
        """Create a folder, given by its absolute path, in the host. Raises EmulationError.

        If an ordinary user may not write to the folder above, that folder is replaced, in this host only, by one in
        memory with the same contents.
        """
        if not path.startswith("/"):
            return
        done = subprocess.run(
            [*self.entering("/"), "sh", "-c", _MAKE_FOLDER, "sh", path], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise EmulationError(
                f"the host {self.name}: the private folder {path} cannot be made ({reason}): choose a folder below an "
                "existing one"
            )

    def run_in_namespaces(self, words: Sequence[str]) -> bool:
        """Run a program in the host's namespaces, in directory /; return whether it exited with code 0."""
        return subprocess.run([*self.entering("/"), *words], capture_output=True, check=False).returncode == 0

    def config(
        self,
        mac: str | None = None,
        ip: str | None = None,
        defaultRoute: str | None = None,  # noqa: N803
        lo: str = "up",
        **_params: Any,
    ) -> dict[str, Any]:
        """Set addresses and default route ('via 10.0.0.1') of the default interface (overrides Node.config of Mininet).

        As in Node.config, `ip` replaces an address of that interface in the link's parameters.
        """
        changes = [f"link set dev lo {lo}"]
        interface = self.defaultIntf() if self.intfs else None
        if interface is not None and mac is not None and mac != interface.mac:
            interface.setMAC(mac)
        lines: list[str] = []
        if interface is not None and ip is not None:
            lines += interface.assign_address(ip, 8)
        if defaultRoute is not None:
            # As in Node.setDefaultRoute, a single word is the name of an interface.
            route = defaultRoute if " " in str(defaultRoute) else f"dev {defaultRoute}"
            lines.append(f"route replace default {route}")
        self.change([*changes, *lines])
        if interface is not None and lines:
            interface.link.changed()
        return {}

    def IP(self, intf: Any = None) -> Any:  # noqa: N802
        """Return the IPv4 address of an interface, by default of the first; None without address or link."""
        return super().IP(intf) if self.intfs else None

    def MAC(self, intf: Any = None) -> Any:  # noqa: N802
        """Return the MAC address of an interface, by default of the first; None without a link."""
        return super().MAC(intf) if self.intfs else None

    def popen(self, *args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        """Start a program in the host, given as a list of words or one string; keywords as for subprocess.Popen."""
        self.check_command(args)
        words = args[0] if len(args) == 1 else list(args)
        if isinstance(words, str):
            words = ["sh", "-c", words] if kwargs.pop("shell", False) else shlex.split(words)
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([*self.entering(), *words], **kwargs)

    def run(
        self, words: Sequence[str], timeout_s: float | None = None, **kwargs: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program in the host to completion; return the output and the exit code.

        timeout_s: time limit, by default a minute, in virtual time a day. Raises EmulationError on a timeout.
        """
        kwargs.setdefault("capture_output", True)
        if timeout_s is None:
            timeout_s = run_timeout_s()
        try:
            return subprocess.run([*self.entering(), *words], timeout=timeout_s, check=False, **kwargs)
        except subprocess.TimeoutExpired:
            raise EmulationError(
                f"`{shlex.join(words)}` in {self.name} took longer than {timeout_s:g} s: give run() another timeout_s"
            ) from None

    def set_up(self) -> None:
        """Run the shell command lines of `setup`. Raises EmulationError with the error of the first that fails."""
        lines = self.params.get("setup") or []
        for line in [lines] if isinstance(lines, str) else lines:
            done = self.run(["sh", "-c", line])
            if done.returncode != 0:
                said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
                reason = said[-1].strip() if said else f"exit code {done.returncode}"
                raise EmulationError(f"the set-up command `{line}` of {self.name} failed: {reason}")

    def start(self, command: str | Sequence[str], *, wait: bool = True, serves: bool = False) -> Service:
        """Start a Python module's main() as a process of the host; by default, wait until it prints READY.

        serves: the service runs until stop() is called, so any earlier exit, even with exit code 0, ends the network
        with an error (see watch).
        """
        self._started += 1
        self.plan.flush()
        words = split_command(command)
        name, called = f"service{self._started}", program_of(shlex.join(words), self.name)
        # The first service that lasts takes the place of the host's process.
        service = self._holder.become(words, self.workdir / f"{name}.err", called) if serves else None
        if service is None:
            service = start_service(
                self.forkserver,
                words,
                namespaces=self._holder.files(),
                cwd=self.workdir,
                name=name,
                called=called,
                host=self.name,
            )
        if serves:
            service.expect_to_serve()
        self.services.append(service)
        if wait:
            service.wait_ready()
        return service

    def start_program(
        self,
        words: Sequence[str],
        port: int | None = None,
        cwd: str | None = None,
        by_udp: bool = False,
        confine: Callable[[Sequence[str]], list[str]] | None = None,
        *,
        keep: bool = False,
        wait: bool = True,
    ) -> Program:
        """Start an external program as a service; with a port, by default wait until the host listens there.

        by_udp: a bound UDP socket on that port counts as well. confine: function that wraps the command line of an
        untrusted program (see process.confinement). keep: if `output_folder` is set, append the program's output to a
        file there, which stays after the end of the network.

        After the wait, any exit before stop() ends the network with an error (see watch). A program without a port,
        however, may exit with code 0, since it may be a set-up command.
        """
        self._started += 1
        kept = keep and self.output_folder is not None
        name = f"program-{self.name}.log" if kept else f"program{self._started}.log"
        output = (self.output_folder if kept and self.output_folder is not None else self.workdir) / name
        program = Program(words, self.entering(cwd), self.namespace_pid, output, confine, host=self.name)
        self.services.append(program)
        if wait:
            if port is not None:
                program.wait_listening(port, by_udp=by_udp)
            self.watch_program(program, may_end=port is None)
        return program

    def watch_program(self, program: Program, *, may_end: bool) -> None:
        """Add a program to the process monitor, once it is ready.

        may_end: an exit with status 0 does not end the network.
        """
        program.watch_over(self.forkserver.watch, program_of(program.command, self.name), may_end=may_end)

    def terminate(self) -> None:
        """Stop the services, the shell and the namespace holder; the namespaces vanish with the last process.

        Idempotent: Mininet's delHost() calls it twice.
        """
        if self._terminated:
            return
        self._terminated = True
        for service in self.services:
            service.stop()
        super().terminate()
        if sandbox.inside():
            # Another testbed of this process may have a host of the same name, whose namespace file is mounted below.
            with suppress(OSError):
                namespaces.unmount(NAMED / self.name)
                (NAMED / self.name).unlink()
        self._holder.release()


class Bridge(LazyShell, LinuxBridge):  # type: ignore[misc]
    """A switch: one Linux bridge, which forwards at once, or with `stp` takes part in the spanning tree protocol.

    mirrors: every port gets a copy of every frame, as a mirror (SPAN) port does, for a sniffer in promiscuous mode.
    stp, prio: spanning tree (IEEE 802.1D), and the priority of this bridge; the lowest becomes the root.
    """

    mirrors = False
    # Whether commands on the switch may call the programs of Open vSwitch.
    has_open_vswitch = False
    # `_made` is False while this constructor runs; True by default, since a subclass may not call this constructor.
    _made = True

    def __init__(self, name: str, mirrors: bool = False, **params: Any) -> None:
        self.mirrors = mirrors
        self._made = False
        super().__init__(name, **params)
        self._made = True

    def cmd(self, *args: Any, **kwargs: Any) -> str:
        """Run a command in the node's shell; do nothing while the constructor runs (overrides Node.cmd).

        Mininet's constructor brings the loopback interface up, which is up already. The command would only start a bash
        per switch.
        """
        return super().cmd(*args, **kwargs) if self._made else ""

    def dpctl(self, *args: Any) -> Any:
        """Run brctl on the switch, as LinuxBridge.dpctl does. Raises EmulationError for a command of ovs-ofctl."""
        # No command of brctl has a hyphen, and nearly all of ovs-ofctl have one: dump-flows, add-flow, dump-ports.
        self.check_command([f"ovs-ofctl {args[0]}"] if args and "-" in str(args[0]) else [])
        return super().dpctl(*args)

    def check_command(self, words: Sequence[Any]) -> None:
        """Raise EmulationError for a command without effect, such as one of Open vSwitch on a Linux bridge."""
        super().check_command(words)
        if not self.has_open_vswitch:
            idle_commands.check_of_bridge(self.name, words)

    @classmethod
    def setup(cls) -> None:
        """Do nothing, because the testbed has checked for the required tools (overrides LinuxBridge.setup)."""

    def equip(self, changed: Callable[[], None], plan: Plan) -> None:
        """Set the attributes of the switch that come from its network; called before the constructor.

        changed: function to call when a port has changed; plan: pending changes of the network.
        """
        self._changed = changed
        self.plan = plan
        self._attached: list[Any] = []
        self._entries: list[tuple[str, str]] = []

    def defaultDpid(self, dpid: str | None = None) -> str:  # noqa: N802
        """Return the OpenFlow data path id; unlike in Mininet, a name without a number is allowed."""
        return str(super().defaultDpid(dpid or (None if any(map(str.isdigit, self.name)) else "1")))

    def start(self, _controllers: Sequence[Any]) -> None:
        """Create the bridge, attach the ports, and install the static forwarding entries added before."""
        self._attached = [intf for intf in self.intfList() if intf.name != "lo"]
        plugs = [line for port in self._attached for line in self._attaching(port.name)]
        kind = "bridge forward_delay 0 stp_state 0 mcast_snooping 0"
        if self.stp:
            priority = f"priority {self.prio}" if self.prio is not None else ""
            kind = f"bridge {SPANNING_TREE} {priority} stp_state 1 mcast_snooping 0"
        self.plan.lines += [f"link add {self.name} type {kind}", *plugs]
        self.plan.calls.append(self._hush)
        self.change([f"link set dev {self.name} up"])
        self._install(self._entries)

    def _hush(self) -> None:
        """Keep the bridge device from sending IPv6 packets and from answering ARP requests.

        Without arp_ignore, the bridge would answer ARP requests for addresses of hosts in the switches' namespace.
        """
        Path("/proc/sys/net/ipv4/conf", self.name, "arp_ignore").write_text("1")
        ipv6_off(self.name)

    def _attaching(self, port: str) -> list[str]:
        lines = [f"link set dev {port} master {self.name}"]
        # A bridge with learning off floods every frame to all ports, as mirrors do.
        # ageing_time 0 would flood, too, but Linux's br_fdb_cleanup() would then scan for old entries every 10 ms.
        return lines + [f"link set dev {port} type bridge_slave learning off"] * self.mirrors

    @property
    def attached(self) -> list[Any]:
        """Return the interfaces that are ports of the running bridge."""
        return list(self._attached)

    def plug_again(self, intf: Any) -> None:
        """Attach a port whose device was replaced to the running bridge again, with the pending changes."""
        self.plan.lines += self._attaching(intf.name)

    def attach(self, intf: Any) -> None:
        """Make an interface a port of the running bridge, as OVSSwitch.attach does."""
        port = self.intf(intf)
        tools.batch("ip", self._attaching(port.name))
        self._attached.append(port)
        self._changed()

    def detach(self, intf: Any) -> None:
        """Remove a port from the running bridge, as OVSSwitch.detach does."""
        port = self.intf(intf)
        tools.batch("ip", [f"link set dev {port.name} nomaster"])
        # A class of the user may have attached the port by ovs-vsctl or ip.
        if port in self._attached:
            self._attached.remove(port)
        self._changed()

    def connected(self) -> bool:
        """Return whether every port is forwarding or blocked: the spanning tree has converged."""
        return not (self.stp and {"listening", "learning"} & set(self._port_states()))

    def _port_states(self) -> list[str]:
        found = subprocess.run(["bridge", "-json", "link", "show"], capture_output=True, text=True, check=False)
        return [row["state"] for row in json.loads(found.stdout or "[]") if row.get("master") == self.name]

    def add_static_entries(self, places: Iterable[tuple[str, str]]) -> None:
        """Install static forwarding entries (MAC address, port).

        After that, the bridge does not learn, flood or age.
        """
        self._entries = list(places)
        self._install(self._entries)

    def remove_static_entries(self) -> None:
        """Remove the static forwarding entries; entries that vanished with a port are ignored."""
        lines = [f"fdb del {mac} dev {port} master static" for mac, port in self._entries]
        with suppress(EmulationError):
            tools.batch("bridge", lines, all_of_them=True)
        self._entries = []

    def _install(self, entries: Iterable[tuple[str, str]]) -> None:
        ports = {port.name for port in self._attached}
        lines = [f"fdb replace {mac} dev {port} master static" for mac, port in entries if port in ports]
        self.plan.forwarding += lines
        self.plan.made()

    def stop(self, deleteIntfs: bool = True) -> None:  # noqa: N803
        """Remove the bridge, and with `deleteIntfs` the interfaces that still exist."""
        remove(self.name)
        self._attached = []
        if deleteIntfs:
            self.deleteIntfs()
