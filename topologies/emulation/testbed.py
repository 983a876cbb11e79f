"""Testbed: a Mininet topology as a running network, with its services started.

    with Testbed(WebTopo(delay="50ms")) as bed:
        print(bed.host("client").run(["curl", "http://www.example.com/"]).stdout)

WebTopo is a topology class, and `client` a host in it. A testbed usually runs in a sandbox: separate Linux namespaces
of lab7, which the kernel removes in any case (lab7.topologies.emulation.sandbox). Without a sandbox, a testbed needs
root and behaves as Mininet does: its interfaces are visible on the machine.
"""

import contextlib
import os
import re
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any

from mininet.topo import Topo

from lab7.topologies.emulation import classes, etc_files, options, sandbox, tools, topology_checks
from lab7.topologies.emulation.addressing import arp_of, hosts_file, ipv6, ipv6_of, tables
from lab7.topologies.emulation.errors import ArgumentError, EmulationError, MachineError, TopologyError
from lab7.topologies.emulation.links import netem, openvswitch, traffic_control
from lab7.topologies.emulation.links.link import EmulatedLink, Wiring
from lab7.topologies.emulation.links.openvswitch import OpenVSwitch
from lab7.topologies.emulation.links.plan import Plan
from lab7.topologies.emulation.links.wires import CARRIER
from lab7.topologies.emulation.loops import find_loop_among
from lab7.topologies.emulation.network import Equip, Network
from lab7.topologies.emulation.node import Bridge, Host
from lab7.topologies.emulation.process import mn_program
from lab7.topologies.emulation.process.holder import HOST_PROCESS
from lab7.topologies.emulation.process.launcher import (
    ForkServer,
    Service,
    await_ready,
    is_module,
    is_service,
    split_command,
)
from lab7.topologies.emulation.process.program import Program, await_listening
from lab7.topologies.emulation.shape import BACKENDS, SWITCHES
from lab7.topologies.emulation.virtual.alignment import align
from lab7.topologies.emulation.watch import LabDied, Watch

# Function that starts the service of a host and returns once the service is ready.
Starter = Callable[[Host], Service | Program]
# Testbeds of this process that are up, in the order of their start.
_running: "list[Testbed]" = []
# Called with each network that has started.
_observers: "list[Callable[[Testbed], None]]" = []
SWITCH_CLASSES: Mapping[Any, type] = dict(zip(SWITCHES, (Bridge, OpenVSwitch), strict=True))
CONGESTION_CONTROLS = ("cubic", "reno")
# Limit of open files of this process: a host has 9 (namespaces, pidfds, pipes).
OPEN_FILES = 65_536
OUR_SERVICES = "lab7.services."
# Timeout in seconds for the spanning tree: a port forwards 8 s after the last of possibly several changes.
FORWARDING_TIMEOUT_S = 60.0
FORWARDING_POLL_S = 0.1


def running() -> "tuple[Testbed, ...]":
    """Return the testbeds (running networks) of this process."""
    return tuple(_running)


def congestion_control() -> str:
    """Return the TCP congestion control of all hosts: cubic, or reno if namespaces may not use cubic (tcp(7))."""
    allowed = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
    try:
        words = allowed.read_text().split()
    except OSError:
        words = []
    return next((name for name in CONGESTION_CONTROLS if name in words), CONGESTION_CONTROLS[-1])


def choose_backend(asked: str) -> str:
    """Return the method that shapes links, 'netem' or 'wire', for the option 'auto', 'netem' or 'wire'.

    'auto' is netem if the kernel has it. Raises MachineError if netem is requested and the kernel lacks it, and
    EmulationError for another option.
    """
    if asked not in BACKENDS:
        raise EmulationError(f"unknown link back end {asked!r}: choose one of {', '.join(BACKENDS)}")
    if asked == "wire":
        return "wire"
    if netem.available():
        return "netem"
    if asked == "netem":
        raise MachineError("this kernel has no netem: use the wire back end (`--links wire`)")
    return "wire"


def _equip(made: Any, **options: Any) -> None:
    made.equip(**options)


def listening_on_both(command: str) -> str:
    """Add `--listen ::` after `--listen 0.0.0.0` in a service's command line, for IPv6; return the new command line."""
    ours = command.split()[0].startswith(OUR_SERVICES)
    return re.sub(r"--listen 0\.0\.0\.0(?=\s|$)", "--listen 0.0.0.0 --listen ::", command) if ours else command


def _raise_open_files() -> None:
    """Raise this process's limit of open files for many hosts; unlike Mininet, change no sysctl of the machine."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES:
        return
    enough = hard == resource.RLIM_INFINITY or hard >= OPEN_FILES
    # Root may exceed the hard limit.
    for limits in ((OPEN_FILES, hard if enough else OPEN_FILES), (hard, hard)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            return


@contextlib.contextmanager
def observed(observer: "Callable[[Testbed], None]") -> Iterator[None]:
    """Call `observer` with each network that is started within a `with` block, as soon as its services run."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


class Testbed:
    """A running network made from a Mininet topology; a context manager.

        links         back end of links: 'auto', 'netem' or 'wire' (user-space links)
        seed          seed of loss, jitter and reordering on wires
        switch        'lxbr' (Linux bridges), 'ovs' (Open vSwitch), or a class of switches
        host_names    every host's /etc/hosts lists all other hosts
        arp           'static' (permanent neighbour and forwarding tables) or 'dynamic' (ARP, neighbour discovery,
                      learning switches)
        ipv6          hosts have IPv6 in addition to IPv4
        stp           every switch takes part in a spanning tree, except switches with stp=False
        starters      host name -> function that starts another program (a third-party server, a user's program) in
                      place of the topology's `serves`
        network       an empty network, whose owner adds nodes and links, starts the network, and then calls
                      start_services(); None: the network is made from the topology
        server_died   function called with an error message, in a thread of its own, if a host's service exits; the
                      network then stays up

    If host_names, arp or ipv6 is None, the topology's attribute of that name determines it (a topology with name
    servers sets host_names to False); the defaults of arp and ipv6 are 'static' and False.

    Raises TopologyError, MachineError and EmulationError, each with a message of one sentence. Raises LabDied within
    the block, if a process of the network exits without having been stopped.
    """

    __test__ = False  # not a test class, whatever its name suggests to pytest

    def __init__(
        self,
        topo: Topo,
        *,
        seed: int = 0,
        links: str = "auto",
        sandboxed: bool = True,
        switch: Any = Bridge,
        host_names: bool | None = None,
        arp: str | None = None,
        ipv6: bool | None = None,
        stp: bool = False,
        starters: Mapping[str, Starter] | None = None,
        network: Network | None = None,
        server_died: Callable[[str], None] | None = None,
    ) -> None:
        for name in topo.switches() if stp else ():
            topo.nodeInfo(name).setdefault("stp", True)
        topology_checks.check(classes.unwrapped(topo))
        self.topo = topo
        self.seed = seed
        self._sandboxed = sandboxed
        self._switch = SWITCH_CLASSES.get(switch, switch)
        self._host_names = bool(getattr(topo, "host_names", True)) if host_names is None else host_names
        self.arp = arp_of(topo, arp)
        self.ipv6 = ipv6_of(topo, ipv6)
        # In a script's hosts IPv6 is on, as in Mininet, with link-local addresses only.
        self._ipv6_in_kernel = self.ipv6 or (network is not None and ipv6 is None)
        self._starters = dict(starters or {})
        self._network = network
        # Relative file names in a script's commands refer to the directory in which the script was started.
        self._folder = Path.cwd() if network is not None else None
        # Current /etc/hosts entries: host name -> (address, names).
        self._published: dict[str, tuple[str, list[str]]] = {}
        self._server_died = server_died
        self._asked_links = links
        self._stack = contextlib.ExitStack()
        self._forkserver: ForkServer | None = None
        self.net: Any = None
        self.plan = Plan()

    def __enter__(self) -> "Testbed":
        self._check_machine()
        _raise_open_files()
        self._watch = Watch(self._server_died)
        self._watch.open()
        with contextlib.ExitStack() as stack:
            try:
                self._bring_up(stack)
            except BaseException as error:
                self._stack = stack.pop_all()
                self._take_down(error)
                raise
            self._stack = stack.pop_all()
        _running.append(self)
        for observer in _observers:
            observer(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self in _running:
            _running.remove(self)
        self._take_down(error)

    @property
    def death(self) -> LabDied | None:
        """The error for a process of this network that has ended unexpectedly; None if there is none."""
        return self._watch.death

    @property
    def stopped(self) -> list[str]:
        """Names of the processes of this network that are suspended at this moment (SIGSTOP)."""
        return self._watch.stopped()

    def _bring_up(self, stack: contextlib.ExitStack) -> None:
        self.backend = choose_backend(self._asked_links)
        self.congestion_control = congestion_control()
        self.workdir = self._make_workdir(stack)
        modules = [HOST_PROCESS, CARRIER, *self._modules()]
        self.forkserver = ForkServer(modules, watch=self._watch, errors=self.workdir / "forkserver.err")
        self._forkserver = self.forkserver
        stack.callback(self.forkserver.close)
        self.services: dict[str, list[Service | Program]] = {}
        self.net = self._build(stack)
        if self._network is None:
            with self.plan.together():
                self.net.build()
                self.net.start()
                self._set_addresses()
            self._start_hosts()

    def start_services(self) -> None:
        """Fill neighbour and forwarding tables, wait for the spanning tree, and start the services of the hosts."""
        with self.plan.together():
            self._set_addresses()
        self._start_hosts()

    def _set_addresses(self) -> None:
        tables.set_addresses_and_routes(self.net, with_ipv6=self.ipv6)
        self._set_tables()

    def _start_hosts(self) -> None:
        self._await_forwarding()
        for host in self.net.hosts:
            host.set_up()
        # In virtual time the timers of services, and what follows their start, begin at a full step of the clock.
        align()
        self.services = self._start_services()
        align()

    def _set_tables(self) -> None:
        if self.arp != "static":
            return
        tables.set_neighbours(self.net, with_ipv6=self.ipv6)
        # Static forwarding entries are set only without loops: a spanning tree decides which ports forward.
        if not find_loop_among([switch.name for switch in self.net.switches], self.net.names_of_links()):
            tables.set_forwarding(self.net)

    def address_changed(self) -> None:
        """Update /etc/hosts files, neighbour and forwarding tables after an address in the network has changed."""
        self._renew_names()
        self.renew_tables()

    def renew_tables(self) -> None:
        """Set the neighbour and forwarding tables again, after a node, a link or an address has changed."""
        if self.net is None or not self.net.is_up or self.arp != "static":
            return
        self.plan.flush()
        for host in self.net.hosts:
            tools.batch("ip", ["neigh flush all nud permanent"], host.namespace_pid)
        for bridge in self.net.switches:
            bridge.remove_static_entries()
        with self.plan.together():
            self._set_tables()

    def _await_forwarding(self) -> None:
        """Wait until the spanning tree protocol has every port of every switch forwarding or blocked."""
        deadline_s = time.monotonic() + FORWARDING_TIMEOUT_S
        while waiting := [switch.name for switch in self.net.switches if not switch.connected()]:
            if time.monotonic() > deadline_s:
                raise EmulationError(
                    f"the ports of {', '.join(waiting)} did not start to forward within "
                    f"{FORWARDING_TIMEOUT_S:g} s of the start of the spanning tree protocol: start the network again"
                )
            time.sleep(FORWARDING_POLL_S)

    def _take_down(self, error: BaseException | None) -> None:
        """Stop the network; `error` is the exception that ends the `with` block, or None.

        Raises LabDied if a process has died.
        """
        # Exceptions not derived from Exception (a death, a signal) end the run at once.
        interrupted = error is not None and not isinstance(error, Exception)
        self._watch.close(failing=error is not None and not interrupted)
        death = self._watch.death
        try:
            if interrupted or death is not None:
                self._kill_all()
            else:
                self._terminate_services()
            self._stack.close()
        except Exception:
            # After a death or a signal, errors of the tear-down are consequences of this cause and are ignored.
            if death is None and not interrupted:
                raise
        finally:
            self._watch.release()
        # LabDied replaces an error that the dead process has caused, such as a reset connection.
        if death is not None and (error is None or isinstance(error, Exception)):
            raise death from None

    def _terminate_services(self) -> None:
        """Send SIGTERM to all services at the same time, so that they end in parallel.

        The caller awaits their exits later.
        """
        for host in self.net.hosts if self.net is not None else []:
            for service in host.services:
                service.terminate()

    def _kill_all(self) -> None:
        """Kill all processes and delete the remaining links at once, which is faster than an orderly tear-down.

        The orderly tear-down that follows finds little left to do.
        """
        for host in self.net.hosts if self.net is not None else []:
            for service in host.services:
                service.expect_end()
                if isinstance(service, Program):
                    service.kill()
        if self._forkserver is not None:
            self._forkserver.kill()
        if self.net is not None:
            self.net.delete_devices()
        # Mininet's tear-down stops at its first error, which missing interfaces cause, and then terminates no host.
        for host in self.net.hosts if self.net is not None else []:
            with contextlib.suppress(Exception):
                host.terminate()
        if self._forkserver is not None:
            self._forkserver.close()

    def host(self, name: str) -> Host:
        """Return the host with this name. Raises EmulationError, with the list of hosts, for an unknown name."""
        for host in self.net.hosts:
            if host.name == name:
                return host  # type: ignore[no-any-return]
        there = ", ".join(host.name for host in self.net.hosts)
        raise ArgumentError(f"there is no host {name!r} in this topology: its hosts are {there}")

    def _check_machine(self) -> None:
        tools.search_system_folders()
        tools.require(*tools.NEEDED)
        if self._sandboxed and not sandbox.inside():
            raise MachineError(
                "a testbed needs a sandbox: call lab7.topologies.emulation.sandbox.enter() first in the script, "
                "or run the script by `python -P -m lab7.topologies.emulation.sandbox python SCRIPT`"
            )
        if os.geteuid() != 0:
            raise MachineError("without a sandbox a testbed needs root: run it with sudo")
        self._check_switch_names()

    def _check_switch_names(self) -> None:
        """Raise TopologyError if another network of this process has a switch of the same name.

        All switches of a process are in one network namespace.
        """
        for other in _running:
            for name in set(self.topo.switches()) & {switch.name for switch in other.net.switches}:
                raise TopologyError(
                    f"another network of this program has a switch {name} as well: stop that network first, or give "
                    "the switch another name"
                )

    def _make_workdir(self, stack: contextlib.ExitStack) -> Path:
        workdir = Path(tempfile.mkdtemp(prefix="lab7-", dir=options.RUN))
        workdir.chmod(0o755)  # services that change user still reach their folder
        stack.callback(shutil.rmtree, workdir, ignore_errors=True)
        return workdir

    def _modules(self) -> list[str]:
        lines = [line for host in self.topo.hosts() for line in self._serves(self.topo.nodeInfo(host))]
        return [line.split()[0] for line in lines if is_module(line.split()[0])]

    def _serves(self, given: Mapping[str, Any]) -> list[str]:
        lines = topology_checks.commands(given.get("serves"))
        return [listening_on_both(line) for line in lines] if self.ipv6 else lines

    def _build(self, stack: contextlib.ExitStack) -> Network:
        self._write_names()
        random, changed = Random(self.seed), self.address_changed
        wiring = Wiring(self.backend, self.forkserver, self.workdir, random, self.plan, changed=changed)
        equips: dict[type, Equip] = {
            Host: partial(
                _equip,
                forkserver=self.forkserver,
                workdir=self.workdir,
                congestion_control=self.congestion_control,
                plan=self.plan,
                ipv6=self.ipv6,
                ipv6_in_kernel=self._ipv6_in_kernel,
                folder=self._folder,
            ),
            Bridge: partial(_equip, changed=self.renew_tables, plan=self.plan),
            EmulatedLink: partial(_equip, wiring=wiring),
        }
        if issubclass(self._switch, OpenVSwitch):
            driver = stack.enter_context(openvswitch.daemons(self.workdir, self._watch))
            equips[OpenVSwitch] = partial(_equip, changed=self.renew_tables, plan=self.plan, driver=driver)
        net = Network(self.topo) if self._network is None else self._network
        net.equip(equips, self._switch, self)
        stack.callback(net.take_down)
        stack.enter_context(traffic_control.serving(net, self.workdir))
        stack.enter_context(mn_program.replaced(self.workdir))
        return net

    def _write_names(self) -> None:
        for host, address in topology_checks.host_addresses(self.topo).items():
            names = [*(self.topo.nodeInfo(host).get("names") or []), host]
            self._published[host] = (ipv6.without_length(address), names)
        files = hosts_file.HostsFiles(self.topo, with_ipv6=self.ipv6)
        for host in self.topo.hosts():
            resolver = self.topo.nodeInfo(host).get("resolver") or []
            resolvers = [resolver] if isinstance(resolver, str) else resolver
            entries = files.listed(host) if self._host_names else etc_files.listed([])
            etc_files.write(self.workdir / "etc" / host, host, entries, resolvers, with_ipv6=self.ipv6)

    def prepare_names(self, name: str, given: Mapping[str, Any]) -> None:
        """Write the /etc files (hosts, resolv.conf ...) for a host that is about to join the network."""
        resolver = given.get("resolver") or []
        resolvers = [resolver] if isinstance(resolver, str) else resolver
        entries = etc_files.listed(self._published.values() if self._host_names else [])
        etc_files.write(self.workdir / "etc" / name, name, entries, resolvers, with_ipv6=self.ipv6)

    def publish_name(self, host: Host) -> None:
        """Add a host that has joined the network to /etc/hosts of all hosts."""
        address = host.params.get("ip")
        if address and not topology_checks.is_none(address):
            names = [*(host.params.get("names") or []), host.name]
            self._published[host.name] = (ipv6.without_length(address), names)
            # While the host had no address, its name was an alias of the loopback address: remove that entry.
            etc_files.remove_entries(host.files, [host.name])
            for other in self.net.hosts if self._host_names else [host]:
                etc_files.add_entry(other.files, *self._published[host.name])

    def withdraw_name(self, host: Host) -> None:
        """Remove a host that has left the network from /etc/hosts of all hosts, and its files."""
        _, names = self._published.pop(host.name, ("", []))
        for other in self.net.hosts if self._host_names else ():
            etc_files.remove_entries(other.files, names)
        for folder in (host.files, host.workdir):
            shutil.rmtree(folder, ignore_errors=True)

    def _renew_names(self) -> None:
        """Update /etc/hosts of all hosts after the addresses of hosts have changed."""
        for host in self.net.hosts if self.net is not None and self.net.is_open else ():
            address, names = self._published.get(host.name, ("", []))
            if address and host.IP() and host.IP() != address:
                self._published[host.name] = (host.IP(), names)
                for other in self.net.hosts if self._host_names else ():
                    etc_files.replace_address(other.files, address, host.IP(), names)

    def restart(self, name: str) -> None:
        """Stop the services of a host and start them again with empty state, as after a reboot."""
        host = self.host(name)
        for service in self.services.get(name, []):
            service.stop()
            host.services.remove(service)
        self.services[name] = self._start(host)
        self._await_services({host: self.services[name]})

    def _start_services(self) -> dict[str, list[Service | Program]]:
        """Start all services in parallel, wait until each is READY; return host name -> services."""
        started = {host: self._start(host) for host in self.net.hosts}
        self._await_services(started)
        return {host.name: services for host, services in started.items() if services}

    def _await_services(self, started: Mapping[Host, list[Service | Program]]) -> None:
        """Wait until all started services are ready. Raises EmulationError for the first service that fails."""
        await_ready([service for services in started.values() for service in services if isinstance(service, Service)])
        programs = {
            program: host
            for host, services in started.items()
            for program in services
            if isinstance(program, Program) and host.name not in self._starters
        }
        ports = {program: host.params.get("listens") for program, host in programs.items()}
        await_listening((program, port, False) for program, port in ports.items() if port is not None)
        for program, host in programs.items():
            host.watch_program(program, may_end=ports[program] is None)

    def _start(self, host: Host) -> list[Service | Program]:
        """Start the services of one host: by the host's function in `starters`, or else each command line in `serves`.

        Services started from command lines may not be ready yet.
        """
        if host.name in self._starters:
            instead = self._starters[host.name](host)
            if isinstance(instead, Service):
                instead.expect_to_serve()
            return [instead]
        started: list[Service | Program] = []
        for line in self._serves(host.params):
            words = split_command(line)
            if is_service(words[0]):
                started.append(host.start(words, wait=False, serves=True))
            else:
                started.append(host.start_program(words, wait=False))
        return started


# Functions by which experiments inject faults into the network.


def unplug(bed: Testbed, name: str) -> None:
    """Disconnect a host: set the far end of its first interface's link down, as if the cable were unplugged."""
    _cable(bed, name, "down")


def plug_in(bed: Testbed, name: str) -> None:
    """Connect a host again after unplug(): set the far end of its first interface's link up."""
    _cable(bed, name, "up")


def _cable(bed: Testbed, name: str, state: str) -> None:
    """Set the opposite end of a host's link up or down, as if a cable were plugged in or unplugged at the host."""
    link = bed.host(name).defaultIntf().link
    far = link.intf2 if link.intf1.node.name == name else link.intf1
    tools.batch("ip", [f"link set dev {far.name} {state}"])
