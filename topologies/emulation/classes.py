"""Handling of `cls=` in a Mininet topology: Mininet's classes are replaced by lab7's own, or refused with a reason.

A testbed, lab7's running network, makes hosts, switches, links and interfaces of its own classes, which are derived
from Mininet's. If a topology uses one of Mininet's classes, such as `cls=TCLink` or `cls=OVSSwitch`, the testbed uses
its own class instead. A topology's subclass of such a class is combined with the testbed's: class LinuxRouter(Node)
becomes a class with the bases LinuxRouter and Host. Methods of the subclass come first, super() leads to the testbed's
methods, and a call by class name, such as Node.config(self, ...), reaches Mininet's method.

Methods of Mininet that run programs, such as ovs-vsctl for OVSSwitch, are an exception: on objects of the testbed,
calls by class name reach the testbed's methods as well (_redirect). Classes that need programs or kernel features that
a testbed lacks are refused.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial, wraps
from inspect import getclosurevars, isfunction
from types import new_class
from typing import Any

from mininet import link, node, nodelib
from mininet.topo import Topo

from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.emulation.hosts.limited import LimitedHost
from lab7.topologies.emulation.hosts.nat import NAT
from lab7.topologies.emulation.links.interface import Interface
from lab7.topologies.emulation.links.link import EmulatedLink
from lab7.topologies.emulation.links.openvswitch import OpenVSwitch
from lab7.topologies.emulation.node import Bridge, Host

# Stock Mininet classes replaced by lab7's own classes, which behave alike: all switches learn.
# TCULink turns checksum offload off, as every link here does; OVSLink optimises links between two OVSSwitches.
HOSTS = (node.Node, node.Host, node.CPULimitedHost, nodelib.NAT, Host)
SWITCHES = (node.Switch, node.OVSSwitch, node.OVSBridge, nodelib.LinuxBridge, Bridge)
LINKS = (link.Link, link.TCLink, link.TCULink, link.OVSLink, EmulatedLink)
INTERFACES = (link.Intf, link.TCIntf, Interface)
INTERFACE_OPTIONS = ("intf", "cls1", "cls2")

_NO_CONTROLLER = (
    "a testbed has no OpenFlow controller: leave the controller out (switches learn and forward without one)"
)
# Mininet class -> reason why a testbed refuses it and its subclasses, with a remedy; the first match counts.
_REFUSED: Mapping[type, str] = {
    node.Controller: _NO_CONTROLLER,
    node.UserSwitch: "it needs the OpenFlow reference switch: write cls=LinuxBridge",
    node.IVSSwitch: "it needs the Indigo virtual switch: write cls=LinuxBridge",
    OpenVSwitch: "for Open vSwitch call Testbed(topo, switch=OpenVSwitch)",
    link.OVSIntf: "it is a patch port of Open vSwitch: write TCIntf",
    link.OVSLink: "it is a patch link of Open vSwitch: derive it from TCLink",
}


def check(topo: Topo) -> None:
    """Validate the classes (`cls=`) that a topology gives for its nodes, links and interfaces. Raises TopologyError."""
    for host in topo.hosts():
        _check(f"the host {host}", topo.nodeInfo(host).get("cls"), HOSTS, node.Node)
    for switch in topo.switches():
        _check(f"the switch {switch}", topo.nodeInfo(switch).get("cls"), SWITCHES, node.Switch)
    for first, second, params in topo.links(withInfo=True):
        _check(f"the link {first}-{second}", params.get("cls"), LINKS, link.Link)
        for option in INTERFACE_OPTIONS:
            _check(f"the link {first}-{second}, option {option},", params.get(option), INTERFACES, link.Intf)


def _check(place: str, kind: Any, stock: tuple[type, ...], base: type) -> None:
    if kind is None or kind in stock:
        return
    if not isinstance(kind, type):
        known = stock[0].__name__
        raise TopologyError(
            f"{place} is made by {_called(kind)}, which is not a class: write functools.partial({known}, ...) with the "
            "parameters that it gives"
        )
    for refused, reason in _REFUSED.items():
        if issubclass(kind, refused):
            raise TopologyError(f"{place} has the class {kind.__name__}, which cannot be used: {reason}")
    if not issubclass(kind, base) or (base is node.Node and issubclass(kind, node.Switch)):
        known = ", ".join(dict.fromkeys(stock_class.__name__ for stock_class in stock))
        raise TopologyError(
            f"{place} has the class {kind.__name__}, which is not derived from one of {known}: leave it out"
        )
    if base is link.Link and _definer(kind, "makeIntfPair") not in LINKS:
        raise TopologyError(
            f"{place} has the class {kind.__name__} with a makeIntfPair() of its own, which cannot be used: a testbed "
            "creates both interfaces, so leave that method out"
        )


def _called(kind: Any) -> str:
    """Return a description, for error messages, of the value that was given in place of a class."""
    return f"the function {kind.__name__}()" if isfunction(kind) else repr(kind)


def _definer(kind: type, method: str) -> type | None:
    return next((base for base in kind.__mro__ if method in vars(base)), None)


def unwrap(options: dict[str, Any]) -> None:
    """Replace a `cls` of functools.partial(CLASS, ...) or mininet.util.custom(CLASS, ...) by CLASS, in place.

    The arguments of partial() become defaults of the options; those of custom() override options of the same name.
    """
    while True:
        kind = options.get("cls")
        if isinstance(kind, partial) and not kind.args:
            options |= {**kind.keywords, **options, "cls": kind.func}
        elif isfunction(kind) and kind.__module__ == "mininet.util" and "customized" in kind.__qualname__:
            closure = getclosurevars(kind).nonlocals
            options |= {**closure["params"], "cls": closure["cls"]}
        else:
            return


def unwrapped(topo: Topo) -> Topo:
    """Apply unwrap() to the options of all parts of a topology, in place; return the topology."""
    for name in topo.nodes():
        unwrap(topo.nodeInfo(name))
    for _, _, params in topo.links(withInfo=True):
        unwrap(params)
    return topo


class _Alone:
    """Mix-in for classes derived from Mininet's OVSSwitch: overrides methods of OVSSwitch that would run ovs-vsctl."""

    prio = None

    @classmethod
    def batchStartup(cls, switches: Any) -> Any:  # noqa: N802
        """Return all given switches as started, without a batch command: start() has started each switch already."""
        return switches

    @classmethod
    def batchShutdown(cls, switches: Any) -> Any:  # noqa: N802, ARG003
        """Return no switch as stopped, so that Mininet calls stop() for each switch instead of a batch command."""
        return ()


# Stock class -> (testbed's class whose methods replace the stock methods, base class of the objects for which they do).
_REPLACED: Mapping[type, tuple[type, type]] = {
    nodelib.NAT: (NAT, Host),
    node.CPULimitedHost: (LimitedHost, Host),
    node.OVSSwitch: (Bridge, Bridge),
    node.OVSBridge: (Bridge, Bridge),
}


def host_class(options: Mapping[str, Any]) -> type:
    """Return the class of a host with these options of addHost(): lab7's class, combined with the option `cls`.

    unwrap() has processed the options before.
    """
    kind = options.get("cls") or node.Host
    for stock in (nodelib.NAT, node.CPULimitedHost):
        if isinstance(kind, type) and issubclass(kind, stock):
            return _REPLACED[stock][0]
    limited = options.get("cpu") not in (None, -1) or options.get("cores") is not None
    return LimitedHost if limited else Host


def _redirect() -> None:
    """Replace methods of Mininet's classes: on objects of a testbed, they call the testbed's method of that name.

    This is needed for classes derived from OVSSwitch, for example, which call super().start(...) or
    OVSSwitch.start(self, ...).
    """
    for stock, (ours, base) in _REPLACED.items():
        for name, method in list(vars(stock).items()):
            # OVSSwitch's constructor stays Mininet's, because it sets attributes such as failMode.
            taken = base is Host if name == "__init__" else not name.startswith("__")
            if taken and isfunction(method) and hasattr(ours, name):
                setattr(stock, name, _redirected(method, name, base))


def _redirected(method: Callable[..., Any], name: str, base: type) -> Callable[..., Any]:
    @wraps(method)
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        if not isinstance(self, base):
            return method(self, *arguments, **options)
        # Classes made by combined() precede the testbed's class in the MRO, since they are derived from it.
        ours = next(each for each in type(self).__mro__ if issubclass(each, base) and not vars(each).get(_COMBINED))
        return getattr(ours, name)(self, *arguments, **options)

    return call


# Attribute that marks a class made by combined().
_COMBINED = "_lab7_combined"


@cache
def combined(kind: type | None, own: type) -> type:
    """Return the class to use for `cls=kind` of a topology: `own`, or a new class derived from `kind` and `own`.

    `own` is lab7's class.
    """
    if kind is None or kind in HOSTS + SWITCHES + LINKS + INTERFACES:
        return own
    if issubclass(kind, own):
        return kind
    members: dict[str, Any] = {"__module__": kind.__module__, _COMBINED: True}
    if issubclass(kind, node.OVSSwitch):
        members |= {name: value for name, value in vars(_Alone).items() if name[:2] != "__"}
    return new_class(kind.__name__, (kind, own), exec_body=lambda body: body.update(members))


def construct(kind: Any, equip: Callable[[Any], None], *args: Any, **options: Any) -> Any:
    """Create an object of a class that combined() has returned.

    `equip` is a method that sets attributes of the testbed on the object before the constructor runs.
    """
    made = kind.__new__(kind)
    equip(made)
    made.__init__(*args, **options)
    return made


_redirect()
