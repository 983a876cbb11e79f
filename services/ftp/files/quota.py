"""What the files of one home may take together, counted in octets."""

from contextlib import AbstractContextManager, nullcontext

from services.ftp.files.jailed_tree import FileError
from services.ftp.server_pi.failures import Cause


class Quota:
    """`limit_bytes` None is no bound; where several threads use it, `lock` is what keeps them apart."""

    def __init__(self, limit_bytes: int | None, lock: AbstractContextManager[object] | None = None) -> None:
        self.limit_bytes = limit_bytes
        self._used = 0
        self._lock = nullcontext() if lock is None else lock

    @property
    def used_bytes(self) -> int:
        """What is used, uploads under way included."""
        return self._used

    @property
    def is_used_up(self) -> bool:
        """Whether not one octet more may be stored."""
        return self.limit_bytes is not None and self._used >= self.limit_bytes

    def set_used(self, used_bytes: int) -> None:
        """Begin from what was counted."""
        with self._lock:
            self._used = used_bytes

    def take(self, size_bytes: int) -> None:
        """Count octets about to be written; raises FileError, and counts nothing, when that would exceed the quota."""
        with self._lock:
            if self.limit_bytes is not None and self._used + size_bytes > self.limit_bytes:
                raise FileError(Cause.QUOTA_EXCEEDED)
            self._used += size_bytes

    def take_anyway(self, size_bytes: int) -> None:
        """Count octets that are there already, even above the limit."""
        with self._lock:
            self._used += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Count octets that are no longer there."""
        with self._lock:
            self._used = max(0, self._used - size_bytes)
