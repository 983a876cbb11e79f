"""Storage quota of one home directory: counts the octets in its files, and refuses writes above the limit."""

from contextlib import AbstractContextManager, nullcontext

from lab7.services.ftp.files.jailed_tree import FileError
from lab7.services.ftp.server_pi.failures import Cause


class Quota:
    """Storage quota of one home directory: octets used and limit (`limit_bytes` None: no limit).

    `lock` makes it thread-safe.
    """

    def __init__(self, limit_bytes: int | None, lock: AbstractContextManager[object] | None = None) -> None:
        self.limit_bytes = limit_bytes
        self._used = 0
        self._lock = nullcontext() if lock is None else lock

    @property
    def used_bytes(self) -> int:
        """Number of octets used, including those of uploads in progress."""
        return self._used

    @property
    def is_used_up(self) -> bool:
        """True once the limit is reached and no further octet may be stored."""
        return self.limit_bytes is not None and self._used >= self.limit_bytes

    def set_used(self, used_bytes: int) -> None:
        """Set the octets used to `used_bytes`, the total size of the files found at the start of the server."""
        with self._lock:
            self._used = used_bytes

    def reserve(self, size_bytes: int) -> None:
        """Reserve octets before a write; if the quota would be exceeded, reserve none and raise FileError."""
        with self._lock:
            if self.limit_bytes is not None and self._used + size_bytes > self.limit_bytes:
                raise FileError(Cause.QUOTA_EXCEEDED)
            self._used += size_bytes

    def add(self, size_bytes: int) -> None:
        """Count octets that are on the disk already, even beyond the limit."""
        with self._lock:
            self._used += size_bytes

    def release(self, size_bytes: int) -> None:
        """Subtract octets that were deleted, or reserved but not written."""
        with self._lock:
            self._used = max(0, self._used - size_bytes)
