"""Opening of TAP devices in network namespaces of other processes (Linux: Documentation/networking/tuntap.rst)."""

import errno
import fcntl
import os
import struct

from lab7.topologies.emulation.links import rtnetlink
from lab7.topologies.emulation.process import namespaces

TUN_DEVICE = "/dev/net/tun"
TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
# Transmit queue of a TAP device in frames, 10 times Linux's default: enough for a TCP burst as large as the
# bandwidth-delay product of 1 Gbit/s and 100 ms. The queue of the link itself is part of the link's shape.
QUEUED_FRAMES = 10_000


def open_tap(name: str, descriptor_of_namespace: int) -> int:
    """Create the TAP device `name` in a network namespace, and return its non-blocking descriptor. Raises OSError.

    The calling thread stays in that namespace. The device is opened without IFF_VNET_HDR: the kernel delivers frames of
    at most the MTU, with their checksums filled in.
    """
    namespaces.setns(descriptor_of_namespace, namespaces.CLONE_NEWNET)
    descriptor = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        with rtnetlink.open_in(0) as netlink:
            rtnetlink.set_queue_length(netlink, name, QUEUED_FRAMES)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def why_no_tap(error: OSError) -> str:
    """Return the reason why TAP devices cannot be created, and a remedy, as one sentence."""
    if error.errno == errno.EACCES:
        return (
            f"this user may not open {TUN_DEVICE} ({error.strerror}): `sudo chmod 0666 {TUN_DEVICE}`, or use "
            "--time virtual"
        )
    if error.errno == errno.EPERM:
        return (
            f"this process may not make TAP devices ({error.strerror}): in a container, run it with "
            f"--cap-add NET_ADMIN --device {TUN_DEVICE}"
        )
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return (
            f"the kernel has no {TUN_DEVICE} ({error.strerror}): `sudo modprobe tun` (in a container: run it with "
            f"--device {TUN_DEVICE})"
        )
    return f"a TAP device could not be made ({error.strerror}): `lab7 doctor` checks this machine"
