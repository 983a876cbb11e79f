"""Validation of the options of addHost(), addSwitch() and addLink(), types and values, before a network is built.

The options are those of Mininet (Node.config, Intf.config, Link.__init__) and those that lab7's hosts and switches add.
Unknown options are ignored, as by Mininet, whose classes accept options of any name. Options of OpenFlow (failMode,
protocols, datapath, listenPort ...) have no effect without a controller; use_hfsc, a choice of rate limiter, has no
effect either.
"""

import os
import re
from collections.abc import Callable, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv6Interface, ip_network
from pathlib import Path, PurePosixPath
from typing import Any

from mininet.topo import Topo

from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.emulation.shape import SHAPING, parse_shape

# Parent of the working directories of the hosts.
RUN = Path("/run")
# Maximum length of an interface name: IFNAMSIZ of linux/if.h, 16, without the final NUL.
INTERFACE_NAME_MAX = 15
PORT_MAX = 65535
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
# OpenFlow data path id: at most 16 hexadecimal digits, between which mininet.node.Switch removes colons.
_DPID = re.compile(r"[0-9a-fA-F]{1,16}")

# Check of an option's value: returns the reason why the value is invalid, None if it is valid.
Check = Callable[[Any], str | None]


def _of(kinds: type | tuple[type, ...], meaning: str) -> Check:
    return lambda value: None if isinstance(value, kinds) else f"is not {meaning}"


def _address_with_prefix(value: Any) -> str | None:
    try:
        good = isinstance(value, str) and "/" in value and bool(IPv4Interface(value))
    except ValueError:
        good = False
    return None if good else "is not an IPv4 address with the length of its prefix: write 'ip': '10.0.0.1/24'"


def _ipv6_with_prefix(value: Any) -> str | None:
    try:
        good = isinstance(value, str) and "/" in value and bool(IPv6Interface(value))
    except ValueError:
        good = False
    return None if good else "is not an IPv6 address with the length of its prefix: write ip6='2001:db8::1/64'"


def _routes(value: Any) -> str | None:
    try:
        for route in value if _texts(value) else [""]:
            destination, _, rest = route.partition(" ")
            if not rest or (destination != "default" and not ip_network(destination)):
                raise ValueError
    except ValueError:
        return "is not a list of routes: write routes=['10.2.0.0/16 via 10.0.0.2']"
    return None


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _text_or_texts(meaning: str) -> Check:
    return lambda value: None if isinstance(value, str) or _texts(value) else f"is not {meaning}"


def _names(value: Any) -> str | None:
    return None if _texts(value) else "is not a list of names: write names=['www.example.com']"


def _resolvers(value: Any) -> str | None:
    try:
        for address in [value] if isinstance(value, str) else value:
            IPv4Address(str(address))
    except (AddressValueError, TypeError):
        return "is not the IPv4 address of a name server, nor a list of addresses"
    return None


def _mac(value: Any) -> str | None:
    if not isinstance(value, str) or not _MAC.fullmatch(value):
        return "is not a MAC address: write it as 00:00:00:00:00:01"
    # RFC 7042 section 2.1: the lowest bit of a MAC address's first octet marks a group address.
    return "is a group address, which no interface can have" if int(value[:2], 16) & 1 else None


def _files(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and isinstance(text, str) for name, text in value.items()
    ):
        return "is not a dictionary of names and texts: write files={'own.zone': text}"
    outside = [name for name in value if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]
    return f"names {outside[0]}, which is not in the host's folder" if outside else None


def _private_folders(value: Any) -> str | None:
    if not isinstance(value, list | tuple) or not all(
        isinstance(entry, str) or (isinstance(entry, tuple) and len(entry) == 2 and _texts(entry)) for entry in value
    ):
        return "is not a list of folders, or of pairs of folders: write privateDirs=['/var/log']"
    for entry in value:
        folder = entry if isinstance(entry, str) else entry[0]
        if os.path.realpath(folder) == "/":
            return "hides every file of the host: name a folder in it"
    return None


def _shared_namespace(value: Any) -> str | None:
    return "is not supported: all switches are in one network namespace, so leave it out" if value else None


def _state(value: Any) -> str | None:
    return None if value in ("up", "down") else "is not a valid state: write lo='up' or lo='down'"


def _processor_share(value: Any) -> str | None:
    # Mininet's default is -1, which means no limit.
    good = isinstance(value, int | float) and not isinstance(value, bool) and (value == -1 or value > 0)
    return None if good else "is not a fraction of the machine's processor time: write cpu=.5"


def _processors(value: Any) -> str | None:
    numbers = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    good = bool(numbers) and all(str(number).isdecimal() for number in numbers)
    return None if good else "is not a list of processors: write cores=[0, 1]"


def _scheduling(value: Any) -> str | None:
    return None if value == "cfs" else "is not supported: only the usual scheduling class, sched='cfs', has limits"


def _number(low: int, high: int, meaning: str) -> Check:
    def check(value: Any) -> str | None:
        good = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if good else f"is not {meaning}"

    return check


def _dpid(value: Any) -> str | None:
    good = isinstance(value, str) and _DPID.fullmatch(value.replace(":", ""))
    return None if good else "is not a data path id: write it in hexadecimal digits, '0000000000000001'"


def _interface_name(value: Any) -> str | None:
    if isinstance(value, str) and 0 < len(value) <= INTERFACE_NAME_MAX and not re.search(r"[\s/:]", value):
        return None
    return f"is not the name of an interface: at most {INTERFACE_NAME_MAX} characters, no space, slash or colon"


def _not_taken(instead: str) -> Check:
    return lambda _value: f"is not supported: {instead}"


def _unless_false(instead: str) -> Check:
    return lambda value: f"is not supported: {instead}" if value else None


def _if_false(instead: str) -> Check:
    return lambda value: None if value else f"is not supported: {instead}"


_PORT = _number(0, PORT_MAX, f"a number from 0 to {PORT_MAX}")
_RESERVED = _not_taken("leave it out")

HOST: Mapping[str, Check] = {
    "ip": _of(str, "an IPv4 address: write ip='10.0.0.1/24'"),
    "mac": _mac,
    "defaultRoute": _of(str, "a route: write defaultRoute='via 10.0.0.254'"),
    "ip6": _ipv6_with_prefix,
    "routes": _routes,
    "setup": _text_or_texts("a command line or a list of them"),
    "serves": _text_or_texts("a command line or a list of them"),
    "listens": _number(1, PORT_MAX, f"a TCP port from 1 to {PORT_MAX}"),
    "names": _names,
    "resolver": _resolvers,
    "files": _files,
    "privateDirs": _private_folders,
    "inNamespace": _of(bool, "True or False"),
    "lo": _state,
    "cpu": _processor_share,
    "cores": _processors,
    "sched": _scheduling,
    "ipv6": _not_taken("IPv6 is an option of the whole network: set the topology's attribute ipv6"),
}
SWITCH: Mapping[str, Check] = {
    "dpid": _dpid,
    "privateDirs": _not_taken("a switch has no private folders"),
    "inNamespace": _shared_namespace,
    "prio": _number(0, PORT_MAX, f"a bridge priority from 0 to {PORT_MAX}"),
}
LINK: Mapping[str, Check] = {
    "port1": _PORT,
    "port2": _PORT,
    "intfName1": _interface_name,
    "intfName2": _interface_name,
    "addr1": _mac,
    "addr2": _mac,
    "params1": _of(dict, "a dictionary of options: write params1={'ip': '10.0.0.1/24'}"),
    "params2": _of(dict, "a dictionary of options: write params2={'ip': '10.0.0.1/24'}"),
    "ip": _not_taken("both ends would have that address; write params1={'ip': ...} and params2={'ip': ...}"),
    "mac": _not_taken("write addr1= and addr2= for the two ends"),
    "name": _not_taken("write intfName1= and intfName2= for the two ends"),
    "enable_red": _unless_false("the queue of a link drops the newest frame only; leave it out, or set max_queue_size"),
    "enable_ecn": _unless_false("the queue of a link drops the newest frame only; leave it out, or set max_queue_size"),
    "use_tbf": _unless_false(
        "the queue of a link is limited by a number of frames; leave it out, and set max_queue_size"
    ),
    **dict.fromkeys(("gro", "txo", "rxo"), _unless_false("offload is off on every link; leave it out")),
    "disable_gro": _if_false("offload is off on every link; leave it out"),
    **dict.fromkeys(("link", "node", "moveIntfFn"), _RESERVED),
}
END: Mapping[str, Check] = {
    "ip": _address_with_prefix,
    "ip6": _ipv6_with_prefix,
    "port": _PORT,
    "mac": _not_taken("write addr1= or addr2= beside params1 or params2"),
    "name": _not_taken("write intfName1= or intfName2= beside params1 or params2"),
    **dict.fromkeys(("link", "node", "moveIntfFn"), _RESERVED),
}


def check(topo: Topo) -> None:
    """Validate the options of a topology's hosts, switches and links.

    Raises TopologyError for the first invalid one.
    """
    for host in topo.hosts():
        _check(f"the host {host}", topo.nodeInfo(host), HOST)
    for switch in topo.switches():
        _check(f"the switch {switch}", topo.nodeInfo(switch), SWITCH)
    for first, second, params in topo.links(withInfo=True):
        place = f"the link {first}-{second}"
        _check(place, params, LINK)
        for side in ("params1", "params2"):
            own = params.get(side) or {}
            _check(f"{place}, {side}", own, END)
            try:
                parse_shape({key: {**own, **params}.get(key) for key in SHAPING})
            except TopologyError as error:
                raise TopologyError(f"{place}: {error}") from None


def _check(place: str, given: Mapping[str, Any], known: Mapping[str, Check]) -> None:
    for name, value in given.items():
        wrong = known[name](value) if name in known and value is not None else None
        if wrong:
            raise TopologyError(f"{place}: {name}={value!r} {wrong}")
