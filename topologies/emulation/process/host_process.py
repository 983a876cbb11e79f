"""Process that represents a host: it creates the host's namespaces, prints READY, and may become the host's service.

Commands and further services enter the host's namespaces, which lab7 keeps open. The fork server (see forkserver) runs
this module with the arguments NAME FILES CONGESTION_CONTROL [ipv6] [forwards] [shared]. FILES is a folder whose files
are bind-mounted over files of /etc. ipv6 enables IPv6, forwards enables IP forwarding. shared: the host is in the
network namespace of the switches, and the settings of this namespace are not changed. Without arguments, the process
runs in the existing namespaces of a host whose earlier process has ended.

A line on standard input makes the process run another module's main(), so that a host with one service is one process;
`errors` is the file for the service's standard error:

    {"module": "lab7.services.http.origin", "argv": ["--port", "80"], "errors": "/run/.../service1.err"}
"""

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import Any

from lab7.topologies.emulation.process import main_function, namespaces

# Folder in which ip-netns(8) names network namespaces.
NAMED = Path("/run/netns")
# Kernel parameters of every host, so that all hosts are alike, whatever the machine's defaults.
SYSCTLS = {
    # No TCP metrics are cached, because metrics of one connection would speed up the next connection (tcp(7)).
    "net/ipv4/tcp_no_metrics_save": "1",
    # A service of any user may bind a port below 1024, such as 80.
    "net/ipv4/ip_unprivileged_port_start": "0",
    # Only root may open ping sockets (icmp(7)), since a user namespace may not map other groups.
    "net/ipv4/ping_group_range": "0 0",
}
FORWARDING = "net/ipv4/ip_forward"
FORWARDING_IPV6 = "net/ipv6/conf/all/forwarding"
REQUEST_BYTES = 65_536
# Parameters that disable IPv6, so that captures have no router solicitations or duplicate address detection.
IPV6_OFF = ("net/ipv6/conf/all/disable_ipv6", "net/ipv6/conf/default/disable_ipv6")


def _set(name: str, value: str) -> None:
    """Set a kernel parameter, if this kernel has it and permits it."""
    # Path.write_text() would write to many more pages that this process shares with the fork server.
    with contextlib.suppress(OSError):
        descriptor = os.open(f"/proc/sys/{name}", os.O_WRONLY)
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)


def _mount_own_network() -> None:
    """Mount /sys for this network namespace, and hide the namespace names that ip-netns(8) has for other hosts."""
    # brctl(8), ethtool(8) and scripts read /sys/class/net; some containers do not permit mounting /sys.
    with contextlib.suppress(OSError):
        namespaces.mount("sysfs", "/sys", "sysfs")
    # Namespace names of other hosts are hidden: they are invalid in this host, and ip(8) would print an error for each.
    if os.path.isdir(NAMED):
        namespaces.mount("tmpfs", str(NAMED), "tmpfs", data="mode=755")


def _set_up_network(congestion_control: str, *, with_ipv6: bool) -> None:
    _mount_own_network()
    for sysctl, value in SYSCTLS.items():
        _set(sysctl, value)
    for sysctl in IPV6_OFF:
        _set(sysctl, "0" if with_ipv6 else "1")
    _set("net/ipv4/tcp_congestion_control", congestion_control)


def _create(name: str, files: str, congestion_control: str, options: list[str]) -> None:
    shared = "shared" in options
    namespaces.unshare_host(name, network=not shared)
    if not shared:
        _set_up_network(congestion_control, with_ipv6="ipv6" in options)
    if "forwards" in options:
        _set(FORWARDING, "1")
        if "ipv6" in options:
            _set(FORWARDING_IPV6, "1")
    for file in sorted(os.listdir(files)):
        namespaces.bind_file(f"{files}/{file}", f"/etc/{file}")


def main(argv: list[str]) -> int:
    """Create the namespaces of a host, print READY, and run the module that a line on standard input requests."""
    if argv:
        name, files, congestion_control, *options = argv
        _create(name, files, congestion_control, options)
    print("READY", flush=True)
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, REQUEST_BYTES)
        if not piece:
            # At end of file the testbed has ended, and the kernel kills this process next.
            signal.pause()
        line += piece
    return _become(json.loads(line))


def _become(request: dict[str, Any]) -> int:
    """Run, in this process, the main() of the module that a request (a line of JSON) names; return its exit status."""
    errors = os.open(request["errors"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(errors, 2)
    os.close(errors)
    namespaces.set_name(main_function.process_name(request["module"]))
    return main_function.run(request["module"], request["argv"])
