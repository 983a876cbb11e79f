"""The quota of one home directory: a limit on the octets of all its files."""

from contextlib import AbstractContextManager, nullcontext

from lab7.services.ftp.files.jailed_tree import FileError
from lab7.services.ftp.server_pi.failures import Cause


class Quota:
    """Quota usage of one home directory in octets; `limit_bytes` None: no limit; `lock`: makes changes thread-safe."""

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
        """True once no further octet may be stored."""
        return self.limit_bytes is not None and self._used >= self.limit_bytes

    def set_used(self, used_bytes: int) -> None:
        """Set the quota usage to the total size of the files in the home directory."""
        with self._lock:
            self._used = used_bytes

    def reserve(self, size_bytes: int) -> None:
        """Reserve octets before a write; if the quota would be exceeded, reserve none and raise FileError."""
        with self._lock:
            if self.limit_bytes is not None and self._used + size_bytes > self.limit_bytes:
                raise FileError(Cause.QUOTA_EXCEEDED)
            self._used += size_bytes

    def add(self, size_bytes: int) -> None:
        """Add octets that are on the disk already, even if the quota is exceeded."""
        with self._lock:
            self._used += size_bytes

    def release(self, size_bytes: int) -> None:
        """Return to the quota octets that were deleted or not written."""
        with self._lock:
            self._used = max(0, self._used - size_bytes)
