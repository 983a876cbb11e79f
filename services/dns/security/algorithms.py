"""DNSSEC algorithms: signature algorithms of DNSKEY and RRSIG, digest algorithms of DS, and the implemented subsets.

RFC 8624 sections 3.1 and 3.3 determine the subsets: RSASHA1 is validated but not used for signing; RSAMD5, DSA and GOST
are used for neither. RFC 3110 and 5702 (RSA), RFC 6605 (ECDSA), RFC 8080 (Ed25519 and Ed448), RFC 4509 and 6605
(digests). Signatures are computed by the library `cryptography`, which is imported at the first use of a key: a server
of signed zones does not need the library.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from lab7.services.errors import ServiceError
from lab7.services.packages import how_to_install

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurve
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

# RFC 3110 section 2 permits moduli of up to 4096 bits.
# BIND bounds the exponent to 35 bits, because a long exponent makes each verification slow.
RSA_BITS_MAX = 4096
EXPONENT_BITS_MAX = 35
# Size of new RSA keys in bits: NIST SP 800-57 accepts 2048, and RFC 8624 section 3.1 states no size.
RSA_BITS = 2048
RSA_EXPONENT = 65_537
# Maximum number of decoded public keys in the cache.
KEYS_MAX = 1024


class Algorithm(IntEnum):
    """Numbers of the signature algorithms that are implemented."""

    RSASHA1 = 5
    RSASHA1_NSEC3_SHA1 = 7
    RSASHA256 = 8
    RSASHA512 = 10
    ECDSAP256SHA256 = 13
    ECDSAP384SHA384 = 14
    ED25519 = 15
    ED448 = 16


class Digest(IntEnum):
    """Numbers of the digest algorithms of DS records that are implemented."""

    SHA1 = 1
    SHA256 = 2
    SHA384 = 4


# Algorithms for new signatures: RFC 8624 section 3.1, "DNSSEC Signing", neither MUST NOT nor NOT RECOMMENDED.
SIGNING = frozenset(
    {
        Algorithm.RSASHA256,
        Algorithm.ECDSAP256SHA256,
        Algorithm.ECDSAP384SHA384,
        Algorithm.ED25519,
        Algorithm.ED448,
    }
)
# Digest algorithms for new DS records: RFC 8624 section 3.3, column "DNSSEC Delegation".
DELEGATION_DIGESTS = frozenset({Digest.SHA256, Digest.SHA384})

_RSA = frozenset({Algorithm.RSASHA1, Algorithm.RSASHA1_NSEC3_SHA1, Algorithm.RSASHA256, Algorithm.RSASHA512})
_ECDSA = frozenset({Algorithm.ECDSAP256SHA256, Algorithm.ECDSAP384SHA384})
# RFC 6605 section 4, RFC 8080 section 3: octets of a coordinate, or of a whole key.
_KEY_OCTETS = {
    Algorithm.ECDSAP256SHA256: 32,
    Algorithm.ECDSAP384SHA384: 48,
    Algorithm.ED25519: 32,
    Algorithm.ED448: 57,
}
_DIGESTS: dict[int, Callable[[bytes], "hashlib._Hash"]] = {
    Digest.SHA1: hashlib.sha1,
    Digest.SHA256: hashlib.sha256,
    Digest.SHA384: hashlib.sha384,
}


class KeyFormatError(ValueError):
    """Error for a public key whose octets are invalid for its algorithm."""


class PrivateKey(Protocol):
    """Interface of a private key: algorithm number, public key as in DNSKEY rdata, and sign()."""

    @property
    def algorithm(self) -> int:
        """The number of the key's DNSSEC algorithm."""

    @property
    def public(self) -> bytes:
        """The public key in the format of DNSKEY rdata."""

    def sign(self, data: bytes) -> bytes:
        """Sign octets; return the signature as in RRSIG rdata."""


def is_supported(algorithm: int) -> bool:
    """Tell whether signatures of an algorithm can be validated."""
    return algorithm in Algorithm.__members__.values()


def is_digest_supported(digest_type: int) -> bool:
    """Tell whether DS records with a digest algorithm can be validated."""
    return digest_type in _DIGESTS


def digest(digest_type: int, data: bytes) -> bytes:
    """Return the digest of `data` as in a DS record; raises KeyError for a digest type that is not supported."""
    return _DIGESTS[digest_type](data).digest()


def require_library() -> None:
    """Import the library `cryptography`, to prevent a delay at the first signature; raises ServiceError without it."""
    try:
        from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, utils  # noqa: F401
    except ImportError as error:
        raise ServiceError(f"DNSSEC needs the package cryptography: {how_to_install('cryptography')}") from error


# Verification.


def verify(algorithm: int, key: bytes, data: bytes, signature: bytes) -> bool:
    """Tell whether a signature is valid; False also for a key or a signature in an invalid format."""
    from cryptography.exceptions import InvalidSignature

    try:
        public = _public_key(Algorithm(algorithm), key)
        _verify(Algorithm(algorithm), public, data, signature)
    except (InvalidSignature, KeyFormatError):
        return False
    return True


def _verify(algorithm: Algorithm, public: "PublicKeyTypes", data: bytes, signature: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, utils

    if isinstance(public, rsa.RSAPublicKey):
        public.verify(signature, data, padding.PKCS1v15(), _hash(algorithm))
    elif isinstance(public, ec.EllipticCurvePublicKey):
        # RFC 6605 section 4: an ECDSA signature is r and s, each as long as a coordinate of the curve.
        octets = _KEY_OCTETS[algorithm]
        if len(signature) != 2 * octets:
            raise InvalidSignature
        r, s = int.from_bytes(signature[:octets], "big"), int.from_bytes(signature[octets:], "big")
        public.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(_hash(algorithm)))
    elif isinstance(public, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        public.verify(signature, data)


@lru_cache(KEYS_MAX)
def _public_key(algorithm: Algorithm, key: bytes) -> "PublicKeyTypes":
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    try:
        if algorithm in _RSA:
            exponent, modulus = _rsa_numbers(key)
            return rsa.RSAPublicNumbers(exponent, modulus).public_key()
        if algorithm in _ECDSA:
            if len(key) != 2 * _KEY_OCTETS[algorithm]:
                raise KeyFormatError(f"a key of {len(key)} octets")
            return ec.EllipticCurvePublicKey.from_encoded_point(_curve(algorithm), b"\x04" + key)
        if algorithm == Algorithm.ED25519:
            return ed25519.Ed25519PublicKey.from_public_bytes(key)
        return ed448.Ed448PublicKey.from_public_bytes(key)
    except ValueError as error:
        raise KeyFormatError(str(error)) from error


def _rsa_numbers(key: bytes) -> tuple[int, int]:
    """Return (exponent, modulus) of an RSA key (RFC 3110 section 2); raises KeyFormatError."""
    size, begin = (key[0], 1) if key and key[0] else (int.from_bytes(key[1:3], "big"), 3)
    exponent, modulus = int.from_bytes(key[begin : begin + size], "big"), int.from_bytes(key[begin + size :], "big")
    if not size or exponent.bit_length() > EXPONENT_BITS_MAX or not 0 < modulus.bit_length() <= RSA_BITS_MAX:
        raise KeyFormatError("an RSA key with an exponent or a modulus that is too long, or none")
    return exponent, modulus


def _hash(algorithm: Algorithm) -> "HashAlgorithm":
    from cryptography.hazmat.primitives import hashes

    if algorithm in (Algorithm.RSASHA1, Algorithm.RSASHA1_NSEC3_SHA1):
        return hashes.SHA1()
    if algorithm == Algorithm.RSASHA512:
        return hashes.SHA512()
    return hashes.SHA384() if algorithm == Algorithm.ECDSAP384SHA384 else hashes.SHA256()


def _curve(algorithm: Algorithm) -> "EllipticCurve":
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.SECP256R1() if algorithm == Algorithm.ECDSAP256SHA256 else ec.SECP384R1()


# Signing.


@dataclass(frozen=True, slots=True)
class LibraryKey:
    """Private key that signs by the `cryptography` library."""

    algorithm: Algorithm
    private: "PrivateKeyTypes"

    @property
    def public(self) -> bytes:
        """The public key as in DNSKEY rdata (RFC 3110 section 2, RFC 6605 section 4, RFC 8080 section 3)."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec, rsa

        public = self.private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            exponent = _octets(numbers.e)
            size = bytes((len(exponent),)) if len(exponent) < 256 else b"\0" + len(exponent).to_bytes(2, "big")
            return size + exponent + _octets(numbers.n)
        if isinstance(public, ec.EllipticCurvePublicKey):
            point, form = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
            return public.public_bytes(point, form)[1:]
        return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def sign(self, data: bytes) -> bytes:
        """Sign octets as in RRSIG rdata; ECDSA signatures are deterministic (RFC 6979) if the library supports it."""
        from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, utils

        private = self.private
        if isinstance(private, rsa.RSAPrivateKey):
            return private.sign(data, padding.PKCS1v15(), _hash(self.algorithm))
        if isinstance(private, ec.EllipticCurvePrivateKey):
            r, s = utils.decode_dss_signature(private.sign(data, _ecdsa(self.algorithm)))
            octets = _KEY_OCTETS[self.algorithm]
            return r.to_bytes(octets, "big") + s.to_bytes(octets, "big")
        if isinstance(private, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
            return private.sign(data)
        raise KeyFormatError(f"no DNSSEC key: {type(private).__name__}")


def _ecdsa(algorithm: Algorithm) -> "ec.ECDSA":  # type: ignore[name-defined]  # noqa: F821
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        return ec.ECDSA(_hash(algorithm), deterministic_signing=True)
    except (UnsupportedAlgorithm, TypeError):
        return ec.ECDSA(_hash(algorithm))


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def derive_key(algorithm: int, secret: bytes) -> LibraryKey:
    """Derive a private key from a secret; raises ServiceError for an algorithm other than ECDSA and EdDSA."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519

    octets = hashlib.shake_256(secret).digest(64)
    if algorithm == Algorithm.ED25519:
        return LibraryKey(Algorithm.ED25519, ed25519.Ed25519PrivateKey.from_private_bytes(octets[:32]))
    if algorithm == Algorithm.ED448:
        return LibraryKey(Algorithm.ED448, ed448.Ed448PrivateKey.from_private_bytes(octets[:57]))
    if algorithm in _ECDSA:
        # The private number is below the order of both curves, because the highest 32 bits of both orders are ones.
        number = int.from_bytes(octets[: _KEY_OCTETS[Algorithm(algorithm)] - 4], "big") + 1
        return LibraryKey(Algorithm(algorithm), ec.derive_private_key(number, _curve(Algorithm(algorithm))))
    raise ServiceError(f"no key can be derived for algorithm {algorithm}: use 13, 14, 15 or 16")


def generate_key(algorithm: int) -> LibraryKey:
    """Return a new random key; raises ServiceError for an algorithm that must not be used for signing."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    if algorithm not in SIGNING:
        raise ServiceError(f"algorithm {algorithm} is not used for signing (RFC 8624): use 8, 13, 14, 15 or 16")
    known = Algorithm(algorithm)
    if known == Algorithm.ED25519:
        return LibraryKey(known, ed25519.Ed25519PrivateKey.generate())
    if known == Algorithm.ED448:
        return LibraryKey(known, ed448.Ed448PrivateKey.generate())
    if known in _ECDSA:
        return LibraryKey(known, ec.generate_private_key(_curve(known)))
    return LibraryKey(known, rsa.generate_private_key(RSA_EXPONENT, RSA_BITS))
