"""Whether octets of a file can be sent at once, or have to be fetched from a disk first.

The event loop sends the former itself and leaves the latter to a worker thread, since a disk may be slow.
"""

import os
from contextlib import suppress
from functools import lru_cache

# File systems that have no disk.
_IN_MEMORY = frozenset(("tmpfs", "ramfs"))
# Every so many octets one is looked at; Linux reads half as many ahead by default.
_LOOK_OCTETS = 256 * 1024
_MOUNTS = "/proc/self/mountinfo"


@lru_cache(maxsize=64)
def is_in_memory(device: int) -> bool:
    """Tell whether a device (`st_dev`) is a file system that lies in memory."""
    number = f"{os.major(device)}:{os.minor(device)}"
    with suppress(OSError), open(_MOUNTS, encoding="utf-8", errors="replace") as mounts:
        for mount in mounts:
            # proc_pid_mountinfo(5): the third field is the device, the first one after the dash the type.
            fields, _, rest = mount.partition(" - ")
            if fields.split()[2] == number:
                return rest.split()[0] in _IN_MEMORY
    return False


def is_cached(descriptor: int, first: int, last: int) -> bool:
    """Tell whether the system holds a file's octets from `first` to `last`, as far as some of them show.

    What lies between two that are looked at could still be missing: a disk reads that in a moment. False as well where
    it cannot tell: by RWF_NOWAIT (preadv2(2)) not every file system reads.
    """
    room = [bytearray(1)]
    try:
        for place in (*range(first, last, _LOOK_OCTETS), last):
            os.preadv(descriptor, room, place, os.RWF_NOWAIT)
        return True
    except OSError:
        return False
