"""Kathara labs: writer and reader of lab.conf (devices and their collision domains), and of each device's startup file.

The writer makes a device for each host and each switch (a Linux bridge), and a collision domain for each link, so that
each end of the link shapes its own direction. Names that Kathara does not permit are changed, and a comment keeps the
original.

The reader takes devices, collision domains and MAC addresses from lab.conf, and addresses, routes, bridges and netem
qdiscs from the startup files (see commands). A device with a bridge becomes a switch, and so does a collision domain
that does not have exactly two devices. Left out when reading: images, services, sysctls and all other options of
devices.

Source: https://www.kathara.org/man-pages/kathara-lab.conf.5.html.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from pathlib import Path

from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.interchange.bundle import IMAGE, Bundle, image_file, start_script, unique_names
from lab7.topologies.interchange.commands import NodeSetUp, host_lines, read_lines, switch_lines
from lab7.topologies.interchange.lab import End, Lab, LabHost, renumbered

CONF = "lab.conf"
ALLOWED = string.ascii_lowercase + string.digits + "_"
# Comment that keeps the name of a host or switch that Kathara does not permit.
_NAMED = re.compile(r"#\s*(?P<device>[a-z0-9_]+) is (?P<name>\S+) in lab7")
_SETTING = re.compile(r"(?P<device>[a-z0-9_]{1,30})\[(?P<argument>\w+)\]=([\"']?)(?P<value>[^\"']+)\3(\s+#.*)?")
# Folder of a host's files in its container.
FOLDER = "/root/lab7"


def kathara_lab(lab: Lab, name: str) -> Bundle:
    """Convert a Lab (model of a topology) to a Kathara lab; return its files as a Bundle."""
    bundle = Bundle()
    devices = unique_names([*(host.name for host in lab.hosts), *lab.switches], ALLOWED)
    domains = {link: f"l{number}" for number, link in enumerate(lab.links, 1)}
    conf = [f'LAB_DESCRIPTION="{name}, written by lab7"', 'LAB_VERSION="1.0"', ""]
    conf += [f"# {note}" for note in lab.notes]
    conf += [f"# {device} is {name} in lab7" for name, device in devices.items() if device != name]
    for node, device in devices.items():
        conf += ["", f'{device}[image]="{IMAGE}"', f'{device}[ipv6]="false"']
        for link, domain in domains.items():
            conf += [f'{device}[{end.number}]="{domain}"' for end in link if end.node == node]
    bundle.texts[CONF] = "\n".join(conf) + "\n"
    bundle.texts["Dockerfile"] = image_file()
    for host in lab.hosts:
        lines = host_lines(_interfaces(lab, host.name), host.routes)
        lines += start_script(lab, host, bundle, FOLDER)
        bundle.texts[f"{devices[host.name]}.startup"] = "\n".join(lines) + "\n"
        for file, text in host.files.items():
            bundle.texts[f"{devices[host.name]}{FOLDER}/{file}"] = text
    for switch in lab.switches:
        bundle.texts[f"{devices[switch]}.startup"] = "\n".join(switch_lines(_interfaces(lab, switch))) + "\n"
    return bundle


def _interfaces(lab: Lab, node: str) -> list[tuple[str, End]]:
    return [(f"eth{end.number}", end) for end in lab.ends(node)]


def read_kathara(folder: Path) -> Lab:
    """Read a Kathara lab from its folder, and return it as a Lab (model of a topology).

    Raises TopologyError, OSError.
    """
    names: dict[str, str] = {}
    domains: dict[str, list[tuple[str, int, str | None]]] = {}
    startups: dict[str, list[str]] = {}
    for device, argument, value in _settings((folder / CONF).read_text(encoding="utf-8"), names):
        lines = startups.setdefault(device, [])
        if argument.isdigit():
            domain, _, mac = value.partition("/")
            domains.setdefault(domain, []).append((device, int(argument), mac or None))
        elif argument == "exec":
            lines.append(value)
    for device, lines in startups.items():
        startup = folder / f"{device}.startup"
        if startup.is_file():
            lines[:0] = startup.read_text(encoding="utf-8", errors="replace").splitlines()
    set_ups = {device: read_lines(lines) for device, lines in startups.items()}
    return _lab(set_ups, domains, names)


def _settings(text: str, names: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield (device, argument, value) for each line of lab.conf; add original device names in comments to `names`.

    Raises TopologyError for any other line.
    """
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if named := _NAMED.fullmatch(line):
            names[named["device"]] = named["name"]
        elif match := _SETTING.fullmatch(line):
            yield match["device"], match["argument"], match["value"].strip()
        elif line and not line.startswith(("#", "LAB_")):
            raise TopologyError(f'{CONF}, line {number}: {line!r} is not DEVICE[NUMBER]="DOMAIN", nor an option')


def _lab(
    set_ups: Mapping[str, NodeSetUp],
    domains: Mapping[str, list[tuple[str, int, str | None]]],
    names: Mapping[str, str],
) -> Lab:
    def end(device: str, number: int, mac: str | None) -> End:
        found = set_ups[device].end(names.get(device, device), number, f"eth{number}")
        return End(found.node, number, found.addresses, found.mac or mac, found.shape)

    taken = {names.get(device, device) for device in set_ups}
    switches = [names.get(device, device) for device, set_up in set_ups.items() if set_up.bridged]
    links = []
    for members in domains.values():
        ends = [end(*member) for member in members]
        if len(ends) == 2:
            links.append((ends[0], ends[1]))
            continue
        switch = next(name for number in range(1, len(taken) + 2) if (name := f"s{number}") not in taken)
        taken.add(switch)
        switches.append(switch)
        links += [(each, End(switch, number)) for number, each in enumerate(ends)]
    hosts = tuple(
        LabHost(names.get(device, device), tuple(set_up.routes))
        for device, set_up in set_ups.items()
        if not set_up.bridged
    )
    return renumbered(Lab(hosts, tuple(switches), tuple(links)))
