"""scapy's packet classes, imported on first use (PEP 562).

    from lab7.experiments.harness.judge import layers

    if layers.TCP in frame.packet: ...

Importing scapy takes a second; commands that read no capture (`lab7 list`) save this time. All of scapy's modules are
imported at once, because a module binds its layers to ports on import: importing it later would change how later
packets are dissected.

On import, scapy creates settings and pickled caches in XDG_CONFIG_HOME and XDG_CACHE_HOME, but a run must write nothing
outside of its result folder. Both variables are therefore set to a path that cannot be a directory, and scapy works
without the files. A program that runs a user's file, which may import scapy itself, calls `load` first.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from importlib import import_module
from typing import Any

MODULES = {
    "scapy.layers.l2": ("Ether",),
    "scapy.layers.inet": ("IP", "TCP", "UDP"),
    "scapy.layers.inet6": ("IPv6",),
    "scapy.layers.dns": (
        "DNS",
        "DNSQR",
        "DNSRRDNSKEY",
        "DNSRRDS",
        "DNSRRMX",
        "DNSRROPT",
        "DNSRRRSIG",
        "DNSRRSOA",
        "DNSRRSRV",
        "DNSStrField",
        "dns_get_str",
        "dnsclasses",
        "dnsqtypes",
    ),
    "scapy.contrib.http2": ("HPackHdrTable", "HPackZString"),
    "scapy.fields": ("BitEnumField", "BitField", "IntField", "ShortEnumField", "ShortField"),
    "scapy.packet": ("Packet", "Padding", "Raw"),
}
_NAMES = {name for names in MODULES.values() for name in names}
_FOLDERS = ("XDG_CONFIG_HOME", "XDG_CACHE_HOME")


@cache
def load() -> None:
    """Import scapy's modules and define their packet classes in this module, without writing scapy's cache files."""
    kept = {name: os.environ.get(name) for name in _FOLDERS}
    os.environ.update(dict.fromkeys(_FOLDERS, os.devnull))
    try:
        for module in ("scapy.config", "scapy.data", "scapy.main"):
            import_module(module)
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    # scapy warns of malformed octets on the error output; the parsers report them as findings.
    logging.getLogger("scapy").setLevel(logging.ERROR)
    for module, names in MODULES.items():
        loaded = import_module(module)
        globals().update({name: getattr(loaded, name) for name in names})


def __getattr__(name: str) -> Any:
    """Import scapy and return one of its packet classes. Raises AttributeError for a name not in MODULES."""
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    load()
    return globals()[name]
