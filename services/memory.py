"""Release of memory in service processes: objects of failed TLS handshakes, and freed memory of the C heap.

Freed memory is returned to the operating system. Left out: C libraries other than glibc, which return freed memory
without a call or have no function for it.
"""

import ctypes
import traceback
from functools import lru_cache
from typing import Any


def release_frames(error: BaseException) -> None:
    """Break the reference cycle of a handled exception: clear the local variables of the frames in its traceback.

    When a TLS handshake fails, frames in the traceback of asyncio's exception refer to that exception. This cycle would
    keep the connection and its read buffer until the next full garbage collection.
    """
    traceback.clear_frames(error.__traceback__)


@lru_cache(maxsize=1)
def _malloc_trim() -> Any:
    # CDLL(None) is a handle of the process itself, with the libc that the process uses already.
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def return_freed_memory() -> None:
    """Return freed memory to the operating system (malloc_trim(3)); do nothing if the C library has no such function.

    free(3) returns only the top of the heap: after many connections have closed, one small object that is still in use
    at the top keeps all freed memory below it. malloc_trim() takes about a millisecond for 10 MiB.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)
