"""Open vSwitch switches in an emulated network: `Testbed(topo, switch=OpenVSwitch)`; needs kernel module openvswitch.

The machine's ovs-vswitchd does not see the network namespace of a sandbox, in which an emulated network usually runs.
There, the testbed therefore runs an ovsdb-server and an ovs-vswitchd of its own, which end with the testbed. Without a
sandbox, the machine's daemons are used. The switches are learning bridges without a controller. Sources: ovs-vsctl(8),
ovs-vswitchd(8), ovsdb-server(1).
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lab7.topologies.emulation import sandbox, tools
from lab7.topologies.emulation.errors import EmulationError, MachineError
from lab7.topologies.emulation.links.interface import ipv6_off
from lab7.topologies.emulation.links.plan import Plan
from lab7.topologies.emulation.node import Bridge
from lab7.topologies.emulation.watch import Watch, Watched, last_line

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")

SCRIPTS = "/usr/share/openvswitch/scripts"
# Folder in which Open vSwitch's tools expect the sockets of its daemons; in a sandbox, /run is in memory.
RUN = Path("/run/openvswitch")
# Spanning tree times in seconds: the minima of IEEE 802.1D-1998 table 8-3, as in node.SPANNING_TREE.
SPANNING_TREE = {"stp-forward-delay": 4, "stp-hello-time": 1, "stp-max-age": 6}
TIMEOUT_S = 20
STOP_TIMEOUT_S = 3.0
# Seconds after boot at which ovs-vswitchd can be started (count_cpu_cores in Open vSwitch's lib/ovs-thread.c).
# If started earlier, ovs-vswitchd finds no processors, starts no handler threads, and never forwards a packet.
COUNTS_PROCESSORS_FROM_S = 10.5


class Daemons:
    """Open vSwitch's daemons and tools for the network namespace of one network.

    `folder` has the sockets of the daemons; None for the machine's own daemons.
    """

    def __init__(self, folder: Path | None, watch: Watch | None = None) -> None:
        self.watch = watch
        self.environment = dict(os.environ, PATH=f"{os.environ.get('PATH', os.defpath)}:{SCRIPTS}")
        if folder is not None:
            self.environment |= {f"OVS_{name}DIR": str(folder) for name in ("RUN", "LOG", "DB")}

    def run(self, *words: str) -> str:
        """Run an Open vSwitch tool; return the output. Raises EmulationError with the tool's first error message."""
        try:
            completed = subprocess.run(
                words, env=self.environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise EmulationError(f"`{words[0]}` took longer than {TIMEOUT_S} s") from None
        if completed.returncode != 0:
            complaint = (
                completed.stderr.strip() or completed.stdout.strip() or f"exit code {completed.returncode}"
            ).splitlines()
            raise EmulationError(f"`{words[0]}` refused a command ({complaint[0]})")
        return completed.stdout

    def control(self, *words: str) -> str:
        """Send a command to ovs-vswitchd by ovs-appctl(8); return its output. Raises EmulationError."""
        return self.run("ovs-appctl", *words)

    def start(self, folder: Path) -> Iterator["Daemon"]:
        """Start ovsdb-server and ovs-vswitchd; yield each of them once it runs. The caller stops them."""
        time.sleep(max(0.0, COUNTS_PROCESSORS_FROM_S - time.monotonic()))
        database, socket = folder / "conf.db", folder / "db.sock"
        self.run("ovsdb-tool", "create", str(database), str(SCHEMA))
        yield self._serve("ovsdb-server", str(database), f"--remote=punix:{socket}")
        self.run("ovs-vsctl", "--no-wait", f"--timeout={TIMEOUT_S}", "--retry", "init")
        yield self._serve("ovs-vswitchd", f"unix:{socket}")

    def _serve(self, program: str, *words: str) -> "Daemon":
        return Daemon(
            program,
            subprocess.Popen(
                [program, *words, "--pidfile", "--log-file", "-vconsole:off"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ),
            Path(self.environment["OVS_LOGDIR"], f"{program}.log"),
            self.watch,
        )


class Daemon:
    """A daemon of Open vSwitch, as a child of this process; until it is stopped, an exit ends the run."""

    def __init__(self, program: str, process: subprocess.Popen[bytes], log: Path, watch: Watch | None) -> None:
        self._process = process
        self._watch = watch
        self._pidfd = os.pidfd_open(process.pid)
        name = f"the Open vSwitch daemon {program}"
        self._watched = Watched(self._pidfd, process.pid, name, process.poll, partial(last_line, log))
        if watch is not None:
            watch.add(self._watched)

    def end(self) -> None:
        """Stop the daemon by SIGTERM, and by SIGKILL after STOP_TIMEOUT_S."""
        if self._watch is not None:
            self._watch.remove(self._watched)
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._pidfd)


@contextlib.contextmanager
def daemons(workdir: Path, watch: Watch | None = None) -> Iterator[Daemons]:
    """Run the daemons of Open vSwitch for one network during a `with` block.

    Outside of a sandbox, use the machine's daemons. Raises MachineError if Open vSwitch is not installed.
    """
    ours = Daemons(workdir / "openvswitch" if sandbox.inside() else None, watch)
    if not SCHEMA.exists():
        raise MachineError("Open vSwitch is not installed: `sudo apt-get install openvswitch-switch`")
    running: list[Daemon] = []
    try:
        if sandbox.inside():
            (workdir / "openvswitch").mkdir()
            running.extend(ours.start(workdir / "openvswitch"))
            # This link leads `ovs-vsctl` and `ovs-ofctl` without options to the daemons of the sandbox's first testbed.
            with contextlib.suppress(FileExistsError):
                RUN.symlink_to(workdir / "openvswitch")
        yield ours
    finally:
        for process in reversed(running):
            process.end()
        if RUN.is_symlink() and RUN.readlink() == workdir / "openvswitch":
            RUN.unlink()


class OpenVSwitch(Bridge):
    """A switch of a topology, implemented by a bridge of Open vSwitch."""

    has_open_vswitch = True

    def equip(self, changed: Callable[[], None], plan: Plan, driver: Daemons | None = None) -> None:
        """Set attributes before the constructor: those of Bridge.equip, and Open vSwitch's daemons (`driver`)."""
        super().equip(changed, plan)
        assert driver is not None
        self._driver = driver

    def start(self, _controllers: Sequence[Any]) -> None:
        """Create the bridge with its ports in Open vSwitch; return when its data path has all ports."""
        self.plan.flush()
        self._attached = [intf for intf in self.intfList() if intf.name != "lo"]
        words = ["add-br", self.name, "--", "set", "Bridge", self.name, *self._settings()]
        for interface in self._attached:
            words += ["--", "add-port", self.name, interface.name]
            # The OpenFlow port number is Mininet's port number, as in stock Mininet.
            words += ["--", "set", "Interface", interface.name, f"ofport_request={self.ports[interface]}"]
        self._driver.run("ovs-vsctl", f"--timeout={TIMEOUT_S}", "--retry", *words)
        wrong = self._driver.run("ovs-vsctl", "--bare", "--columns=name,error", "find", "Interface", "error!=[]")
        if wrong.strip():
            raise MachineError(f"Open vSwitch could not attach {' '.join(wrong.split())}")
        if not Path("/proc/sys/net/ipv4/conf", self.name).exists():
            raise MachineError(
                "this kernel has no data path of Open vSwitch: load it by `sudo modprobe openvswitch`, or use Linux "
                "bridges (`--switch lxbr`)"
            )
        if self.mirrors:
            self._driver.run("ovs-ofctl", "add-flow", self.name, "actions=flood")
        ipv6_off(self.name)
        tools.batch("ip", [f"link set dev {self.name} up"])
        self._install(self._entries)

    def _settings(self) -> list[str]:
        """Return the bridge's settings (ovs-vswitchd.conf.db(5)) for Mininet's parameters and the spanning tree."""
        found = ["fail_mode=standalone", f"other_config:datapath-id={self.dpid}", f"other_config:dp-desc={self.name}"]
        found += ["other_config:disable-in-band=true"]
        if self.params.get("protocols"):
            found.append(f"protocols={self.params['protocols']}")
        if self.stp:
            times = SPANNING_TREE | ({"stp-priority": self.prio} if self.prio is not None else {})
            found += ["stp_enable=true", *(f"other_config:{name}={value}" for name, value in times.items())]
        return found

    def _port_states(self) -> list[str]:
        # stp/show prints a line per port: name, role, state, cost, priority.number; none for a port without carrier.
        ports = {port.name for port in self._attached}
        rows = [line.split() for line in self._driver.control("stp/show", self.name).splitlines()]
        return [row[2] for row in rows if row and row[0] in ports]

    def dpctl(self, *args: Any) -> str:
        """Run ovs-ofctl on this switch and return its output, as Mininet's OVSSwitch.dpctl does."""
        return self.cmd("ovs-ofctl", args[0], self, *args[1:])

    def vsctl(self, *args: Any, **options: Any) -> str:
        """Run ovs-vsctl and return its output, as Mininet's OVSSwitch.vsctl does."""
        return self.cmd("ovs-vsctl", *args, **options)

    def attach(self, intf: Any) -> None:
        """Make an interface a port of the running switch, as OVSSwitch.attach does."""
        port = self.intf(intf)
        self._driver.run("ovs-vsctl", f"--timeout={TIMEOUT_S}", "add-port", self.name, port.name)
        self._attached.append(port)
        self._changed()

    def plug_again(self, intf: Any) -> None:
        """Do nothing after the device of a port was made again: ovs-vswitchd finds the new device by its name."""

    def detach(self, intf: Any) -> None:
        """Remove a port from the running switch, as OVSSwitch.detach does."""
        port = self.intf(intf)
        self._driver.run("ovs-vsctl", f"--timeout={TIMEOUT_S}", "del-port", self.name, port.name)
        if port in self._attached:
            self._attached.remove(port)
        self._changed()

    def remove_static_entries(self) -> None:
        """Remove the static forwarding entries of the switch, as Bridge.remove_static_entries does."""
        for mac, _ in self._entries:
            with contextlib.suppress(EmulationError):
                self._driver.control("fdb/del", self.name, "0", mac)
        self._entries = []

    def _install(self, entries: Iterable[tuple[str, str]]) -> None:
        self.plan.flush()
        for mac, port in entries:
            self._driver.control("fdb/add", self.name, port, "0", mac)

    def stop(self, deleteIntfs: bool = True) -> None:  # noqa: N803
        """Remove the bridge.

        At the end of a sandbox no reply of the daemon is awaited, since the bridge vanishes with the daemon.
        """
        waiting = ["--no-wait"] if sandbox.inside() and deleteIntfs else []
        self._driver.run("ovs-vsctl", f"--timeout={TIMEOUT_S}", *waiting, "--if-exists", "del-br", self.name)
        self._attached = []
        if deleteIntfs:
            self.deleteIntfs()
