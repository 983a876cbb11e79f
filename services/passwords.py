"""Password hashes by scrypt (RFC 7914), for the accounts files of FTP and mail.

    stored = ScryptHash.create(b"secret", salt)
    stored.matches(b"secret")           # True, in constant time

The accounts files of FTP and mail have different text forms of a hash, kept for compatibility with existing files:
`scrypt:N:r:p:salt:hash` in hexadecimal (services/ftp/accounts.py) and `scrypt$log2(N)$r$p$salt$hash` in base64
(services/mail/accounts.py).
"""

import hashlib
import hmac
from dataclasses import dataclass

# Cost of a hash, 50 ms and 16 MiB: the interactive setting of the scrypt paper (RFC 7914 section 2 sets none).
COST_N, BLOCK_SIZE_R, PARALLELISM_P = 1 << 14, 8, 1
SALT_OCTETS = 16
DIGEST_OCTETS = 32
# Maximum memory in octets to verify a stored hash; OpenSSL's default is 32 MiB.
MEMORY_OCTETS = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ScryptHash:
    """A password hash with its salt and the parameters N, r and p of scrypt."""

    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    @classmethod
    def create(cls, password: bytes, salt: bytes) -> "ScryptHash":
        """Return the ScryptHash of a password with `salt`; its parameters are COST_N, BLOCK_SIZE_R, PARALLELISM_P."""
        n, r, p = COST_N, BLOCK_SIZE_R, PARALLELISM_P
        return cls(n, r, p, salt, _derive(password, salt, n, r, p))

    def matches(self, password: bytes) -> bool:
        """Return whether a password has this hash. The computation takes some 50 ms: call it in a worker thread."""
        return hmac.compare_digest(self.digest, _derive(password, self.salt, self.n, self.r, self.p))


def _derive(password: bytes, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=MEMORY_OCTETS, dklen=DIGEST_OCTETS)
