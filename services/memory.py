"""Memory of a service's process: release of failed handshakes at once, and of freed memory to the operating system.

Left out: C libraries other than glibc, which return memory without a call or have no function for it.
"""

import ctypes
import traceback
from functools import lru_cache
from typing import Any


def release_frames(error: BaseException) -> None:
    """Clear the local variables of the frames through which `error` was raised, after `error` is handled.

    asyncio's loop keeps the error of a failed TLS handshake in frames that the error's own traceback refers to: a
    reference cycle that would keep the connection and its read buffer until the next full garbage collection.
    """
    traceback.clear_frames(error.__traceback__)


@lru_cache(maxsize=1)
def _malloc_trim() -> Any:
    # CDLL(None) is a handle of the process itself, with the libc that the process uses already.
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def return_freed_memory() -> None:
    """Return freed memory to the operating system (malloc_trim(3)); without effect if libc has no such function.

    free(3) returns only the top of the heap: after many connections have closed, one small object that is still in use
    at the top keeps all freed memory below it. malloc_trim() takes about a millisecond for 10 MiB.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)
