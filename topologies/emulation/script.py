"""Runner for Mininet scripts (programs that call Mininet() themselves): it executes them on lab7's own network.

    from mininet.net import Mininet            # during run(), this is lab7's class ScriptNetwork
    net = Mininet(topo=MyTopo(), link=TCLink)  # starts a testbed (lab7's network) with the nodes
    net.start()                                # sets up switches and tables, starts services
    CLI(net)                                   # a command line: the class that run() is given
    net.stop()                                 # stops the testbed

The script runs as __main__ inside of a sandbox (separate Linux namespaces), with mininet.net.Mininet and
mininet.cli.CLI replaced. All other names are Mininet's own; classes of nodes, links and interfaces are combined with
lab7's classes as in a topology (see classes). Hosts resolve addresses by ARP, unless the script sets autoStaticArp=True
or calls staticArp(). A Node() that a script makes without the network, such as Node('root', inNamespace=False) in the
switches' namespace, becomes a node of the testbed in addition to the hosts. Left out: networks that a script builds
without Mininet(), from Node() and Link() objects only; they are refused with an error message.
"""

import ast
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mininet.clean
import mininet.cli
import mininet.net
from mininet import link, node
from mininet.topo import Topo

from lab7.topologies.emulation import topology_checks, user_module
from lab7.topologies.emulation.classes import unwrapped
from lab7.topologies.emulation.errors import EmulationError, UserFileError
from lab7.topologies.emulation.links.interface import Interface
from lab7.topologies.emulation.links.link import EmulatedLink
from lab7.topologies.emulation.network import LEARNING, LearningController, Network, controller_refusal
from lab7.topologies.emulation.node import Host, LazyShell
from lab7.topologies.emulation.process import mn_program
from lab7.topologies.emulation.testbed import Testbed

# Mininet class -> (lab7's class in its place, the calls by which a script must create an object of the class).
_PARTS: Mapping[type, tuple[type, str]] = {
    node.Node: (LazyShell, "net.addHost(), net.addSwitch() or net.addController()"),
    link.Link: (EmulatedLink, "net.addLink()"),
    link.Intf: (Interface, "net.addLink(); a sandbox has no interface of the machine"),
}


# Open vSwitch's version for OVSSwitch.isOldOVS(), which OVSSwitch.setup() would find: the version of Debian 12.
OVS_VERSION = "3.1"
_ABSENT = object()
# Methods of networks derived from Mininet -> their project.
_OTHER_METHODS = dict.fromkeys(("addStation", "addAccessPoint", "configureWifiNodes", "plotGraph"), "Mininet-WiFi")
_OTHER_METHODS |= dict.fromkeys(("addDocker", "addLibvirthost", "addExtSAP"), "Containernet")
_OTHER_METHODS |= dict.fromkeys(("addP4Switch", "addP4RuntimeSwitch"), "P4-utils")


class ScriptNetwork(Network):
    """Substitute for the class Mininet in scripts: its constructor starts a testbed's network, stop() takes it down.

    settings: options of the testbed (see Testbed), set by `run`. For an option that is None, the script's own option or
    Mininet's default is used.
    """

    settings: Mapping[str, Any] = {}

    def __init__(
        self,
        topo: Topo | None = None,
        switch: Any = node.OVSKernelSwitch,
        host: Any = node.Host,
        controller: Any = node.DefaultController,
        link: Any = link.Link,
        intf: Any = link.Intf,
        build: bool = True,
        xterms: bool = False,
        cleanup: bool = False,  # noqa: ARG002 - nothing is left over in a sandbox
        ipBase: str = "10.0.0.0/8",  # noqa: N803
        inNamespace: bool = False,  # noqa: N803
        autoSetMacs: bool = False,  # noqa: N803
        autoStaticArp: bool = False,  # noqa: N803
        autoPinCpus: bool = False,  # noqa: N803
        listenPort: int | None = None,  # noqa: N803
        waitConnected: bool = False,  # noqa: N803
    ) -> None:
        if inNamespace:
            raise EmulationError(
                "inNamespace=True of Mininet() is not supported: all switches are in one network namespace"
            )
        if topo is not None:
            topology_checks.check(unwrapped(topo))
        super().__init__(
            topo,
            controller,
            ipBase=ipBase,
            xterms=xterms,
            autoSetMacs=autoSetMacs,
            autoStaticArp=autoStaticArp,
            autoPinCpus=autoPinCpus,
            listenPort=listenPort,
            waitConnected=waitConnected,
        )
        self._kinds = {"host": host, "switch": switch, "link": link, "intf": intf}
        settings = {"arp": "static" if autoStaticArp else "dynamic"}
        settings |= {name: value for name, value in self.settings.items() if value is not None}
        attributes = {name: getattr(topo, name) for name in ("arp", "ipv6", "host_names") if hasattr(topo, name)}
        self._bed = Testbed(Topo(), network=self, **{**attributes, **settings})
        self.is_open = True
        self._adopted: list[Host] = []
        self._bed.__enter__()
        _open.append(self)
        if topo is not None and build:
            self.build()

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse MininetCluster, Mininet's example for several machines: its constructor will raise an error."""
        super().__init_subclass__(**options)
        if cls.__name__ == "MininetCluster":
            cls.__init__ = _refuse_cluster  # type: ignore[method-assign]

    def __getattr__(self, name: str) -> Any:
        """Raise an error for a method that only other projects, derived from Mininet, have; such as Containernet."""
        if project := _OTHER_METHODS.get(name):
            raise _OtherProjectError(
                f"{name}() is of {project}, whose nodes a testbed lacks: it runs files for Mininet"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def start(self) -> None:
        """Start the network and the services of its hosts."""
        super().start()
        self._bed.start_services()

    def adopt(self, made: Any, name: str, **options: Any) -> None:
        """Add a node that the script has created by its constructor, without the network, to the network.

        As in Mininet, the node is not in `hosts`.
        """
        self._testbed.prepare_names(name, options)
        made.__class__ = Host
        self._equips[Host](made)
        made.__init__(name, **options)
        self._adopted.append(made)

    def take_down(self) -> None:
        """Stop all nodes of the network, including those that adopt() has added."""
        super().take_down()
        for made in self._adopted:
            made.terminate()

    def stop(self) -> None:
        """Stop the network; a second call does nothing."""
        if self in _open:
            _open.remove(self)
            self._bed.__exit__(None, None, None)


class _OtherProjectError(EmulationError, AttributeError):
    """Error for a method that only other projects derived from Mininet have; hasattr() returns False for it."""


def _refuse_cluster(*_arguments: Any, **_options: Any) -> None:
    raise EmulationError(
        "MininetCluster needs several machines, and a testbed is one network on one machine: Mininet()"
    )


# Networks that the script has started and not yet stopped.
_open: list[ScriptNetwork] = []
# A forked child that exits, such as a process of multiprocessing, leaves the networks as they are.
os.register_at_fork(after_in_child=_open.clear)


def is_file(name: str) -> bool:
    """Return whether a path leads to a file."""
    return Path(name).is_file()


def builds_network(file: str) -> bool:
    """Return whether a file is a Mininet script: it calls Mininet(), and does not export a topology (`topos`).

    Returns False if the file is unreadable.
    """
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    exports = any(
        (isinstance(item, ast.ClassDef) and any(_name(base).endswith("Topo") for base in item.bases))
        or (isinstance(item, ast.Assign) and "topos" in map(_name, item.targets))
        for item in tree.body
    )
    calls = (item for item in ast.walk(tree) if isinstance(item, ast.Call))
    return not exports and any(_name(call.func) == "Mininet" for call in calls)


def _name(expression: ast.expr) -> str:
    """Return the last part of a dotted name in a syntax tree; empty for any other expression."""
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""


def run(file: str, arguments: Sequence[str], cli: type, **settings: Any) -> None:
    """Execute a script as __main__ with its arguments, and take down the networks that it leaves up.

    cli: class in place of mininet.cli.CLI; settings: options of the script's testbeds. Raises UserFileError, the
    script's SystemExit, and the errors that a testbed raises.
    """
    network = type("Mininet", (ScriptNetwork,), {"settings": settings, "__doc__": ScriptNetwork.__doc__})
    before = sys.argv
    try:
        places = (
            (mininet.net, "Mininet", network),
            (mininet.net, "MininetWithControlNet", _ControlNetwork),
            (mininet.cli, "CLI", cli),
            # Some scripts call OVSKernelSwitch.setup() to check for Open vSwitch.
            (node.OVSSwitch, "setup", _nothing),
            (node.OVSSwitch, "OVSVersion", OVS_VERSION),
            # cleanup() removes files of the machine, /tmp/*.log among them.
            (mininet.clean, "cleanup", _nothing),
            (mininet.clean.Cleanup, "cleanup", _nothing),
        )
        with _replaced(*places), _no_loose_parts():
            sys.argv = [file, *arguments]
            with _without_mn():
                try:
                    user_module.run_as_main(file)
                finally:
                    while _open:
                        _open[-1].stop()
    finally:
        sys.argv = before


@contextmanager
def _without_mn() -> Iterator[None]:
    """Replace Mininet's command `mn` (see process.mn_program) during a `with` block, even without a network."""
    with tempfile.TemporaryDirectory(prefix="lab7-") as folder, mn_program.replaced(Path(folder)):
        yield


def _nothing(*_arguments: Any) -> None:
    """Do nothing, in place of the functions by which Mininet checks for programs and cleans up old networks."""


@contextmanager
def _replaced(*places: tuple[Any, str, Any]) -> Iterator[None]:
    """Set attributes, given as (object, name, value), during a `with` block; restore the earlier values at its end."""
    old = [(place, name, vars(place).get(name, _ABSENT)) for place, name, _ in places]
    try:
        for place, name, value in places:
            setattr(place, name, value)
        yield
    finally:
        for place, name, value in old:
            if value is _ABSENT:
                delattr(place, name)
            else:
                setattr(place, name, value)


@contextmanager
def _no_loose_parts() -> Iterator[None]:
    """Refuse nodes, links and interfaces that a script creates by their constructors, during a `with` block.

    Raises UserFileError.
    """
    with _replaced(*((stock, "__init__", _checked(stock, *how)) for stock, how in _PARTS.items())):
        yield


def _checked(stock: type, own: type, instead: str) -> Callable[..., None]:
    constructor: Callable[..., None] = stock.__init__  # type: ignore[misc]

    def check(made: Any, *arguments: Any, **options: Any) -> None:
        # Mininet's switches themselves create an interface object for the loopback device.
        if not isinstance(made, own) and arguments[:1] != ("lo",):
            if _open and type(made) in (node.Node, node.Host):
                _open[-1].adopt(made, *arguments, **options)
                return
            if stock is node.Node and isinstance(made, node.Controller):
                _substitute_controller(made, *arguments, **options)
                return
            raise UserFileError(f"{type(made).__name__}() makes a part that no network knows: make it by {instead}")
        constructor(made, *arguments, **options)

    return check


def _substitute_controller(made: Any, name: str, *arguments: Any, **options: Any) -> None:
    """Make a controller that a script has created by its constructor the substitute for Mininet's default controller.

    Raises EmulationError for any other controller than a default one.
    """
    if type(made) not in LEARNING:
        raise EmulationError(controller_refusal(name, type(made)))
    made.__class__ = LearningController
    node.Node.__init__(made, name, *arguments, **options)


class _ControlNetwork:
    """Substitute for mininet.net.MininetWithControlNet, whose constructor raises an error: it is not supported."""

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        raise EmulationError(
            "MininetWithControlNet is not supported: its control network leads from switches in namespaces of their "
            "own to OpenFlow controllers, and a testbed has neither; write Mininet()"
        )
