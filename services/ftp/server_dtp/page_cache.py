"""Page cache queries: whether octets of a file can be read without disk access.

The event loop sends cached octets itself and leaves all other octets to a worker thread, since a disk may be slow.
"""

import os
from contextlib import suppress
from functools import lru_cache

# File systems without a disk.
_IN_MEMORY = frozenset(("tmpfs", "ramfs"))
# Distance in octets between two probes of a file: twice the read-ahead of Linux.
_PROBE_OCTETS = 256 * 1024
_MOUNTS = "/proc/self/mountinfo"


@lru_cache(maxsize=64)
def is_in_memory(device: int) -> bool:
    """Return whether the file system on device `device` (`st_dev`) keeps its files in memory, such as tmpfs."""
    number = f"{os.major(device)}:{os.minor(device)}"
    with suppress(OSError), open(_MOUNTS, encoding="utf-8", errors="replace") as mounts:
        for mount in mounts:
            # proc_pid_mountinfo(5): the third field is the device, the first field after the dash the file system type.
            fields, _, rest = mount.partition(" - ")
            if fields.split()[2] == number:
                return rest.split()[0] in _IN_MEMORY
    return False


def is_cached(descriptor: int, first: int, last: int) -> bool:
    """Return whether octets `first` to `last` of a file are in the page cache, judged by a sample of its pages.

    Octets between two sampled pages may be missing from the page cache; the disk reads them in a short time. Return
    False as well on file systems that do not support RWF_NOWAIT (preadv2(2)).
    """
    probe = [bytearray(1)]
    try:
        for position in (*range(first, last, _PROBE_OCTETS), last):
            os.preadv(descriptor, probe, position, os.RWF_NOWAIT)
        return True
    except OSError:
        return False
