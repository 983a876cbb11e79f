"""Release of unused memory in service processes: objects in reference cycles, freed heap memory, pages of zeros.

release_frames() breaks the reference cycle that keeps the connection of a failed TLS handshake in memory.
return_freed_memory() returns freed heap memory to the operating system by malloc_trim(3). release_zero_pages() returns
the pages of a large object that contain only zeros. Left out: C libraries other than glibc, which return freed memory
without a call or have no function for it.
"""

import ctypes
import mmap
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


@lru_cache(maxsize=1)
def _madvise() -> Any:
    function = getattr(ctypes.CDLL(None), "madvise", None)
    if function is None or not hasattr(mmap, "MADV_DONTNEED"):
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function


def return_freed_memory() -> None:
    """Return freed memory to the operating system (malloc_trim(3)); do nothing if the C library has no such function.

    free(3) returns only the top of the heap: after many connections have closed, one small object that is still in use
    at the top keeps all freed memory below it. malloc_trim() takes about a millisecond for 10 MiB.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


def release_zero_pages(thing: object) -> None:
    """Return an object's memory pages that contain only zeros to the operating system; its content is unchanged.

    The kernel provides a page of zeros again when such a page is next accessed (madvise(2), MADV_DONTNEED). The object
    must have been created by this process, in its private memory: a page that the process shares with the process that
    forked it would become private.
    """
    advise = _madvise()
    if advise is None:
        return
    start = -(-id(thing) // mmap.PAGESIZE) * mmap.PAGESIZE
    end = id(thing) + type(thing).__basicsize__
    zeros, first = bytes(mmap.PAGESIZE), None
    for page in range(start, end + 1, mmap.PAGESIZE):
        is_zero = page + mmap.PAGESIZE <= end and ctypes.string_at(page, mmap.PAGESIZE) == zeros
        if is_zero and first is None:
            first = page
        elif not is_zero and first is not None:
            advise(first, page - first, mmap.MADV_DONTNEED)
            first = None
