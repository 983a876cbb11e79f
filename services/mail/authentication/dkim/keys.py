"""DKIM private and public keys, RSA (RFC 8301) and Ed25519 (RFC 8463), by the optional Python package cryptography.

    key = load_private_key(pem)
    signature = key.sign(octets)
    verify("ed25519-sha256", public_octets, octets, signature)      True if the signature is valid

A public key (`public_octets`) is in the form of the key record: a SubjectPublicKeyInfo or an RSAPublicKey in DER, or
the 32 octets of an Ed25519 key.
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab7.services.errors import ServiceError
from lab7.services.mail.authentication.dkim.signature_field import ED25519, RSA, KeyRecordError
from lab7.services.packages import how_to_install

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

# RFC 8301 section 3.2: verifiers accept RSA keys from 1,024 to 4,096 bits; signers use at least 2,048.
RSA_BITS_MIN, RSA_BITS_MAX, RSA_BITS = 1024, 4096, 2048
_RSA_EXPONENT = 65_537
# DER header of a SubjectPublicKeyInfo for rsaEncryption (RFC 8017 appendix A.1).
_RSA_ALGORITHM = bytes.fromhex("300d06092a864886f70d0101010500")


def require_cryptography() -> None:
    """Raise ServiceError unless the Python package cryptography is installed."""
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise ServiceError(f"DKIM needs the package cryptography: {how_to_install('cryptography')}") from error


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key, and its signature algorithm (rsa-sha256 or ed25519-sha256)."""

    algorithm: str
    key: "RSAPrivateKey | Ed25519PrivateKey"

    def sign(self, octets: bytes) -> bytes:
        """Sign octets (RFC 6376 section 3.3.2); Ed25519 signs their SHA-256 (RFC 8463 section 3)."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(hashlib.sha256(octets).digest())
        return self.key.sign(octets, PKCS1v15(), SHA256())

    def public_octets(self) -> bytes:
        """Return the public key in the encoding of a key record's p= tag."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        if self.algorithm == ED25519:
            return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def pem(self) -> bytes:
        """Return the private key in PEM, as unencrypted PKCS #8."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def generate(algorithm: str, bits: int = RSA_BITS) -> PrivateKey:
    """Generate a new DKIM key; `bits` applies to RSA only."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    if algorithm == ED25519:
        return PrivateKey(ED25519, Ed25519PrivateKey.generate())
    return PrivateKey(RSA, generate_private_key(_RSA_EXPONENT, bits))


def load_private_key(pem: bytes) -> PrivateKey:
    """Load a private key from PEM; raises ValueError for other content, and for key types that DKIM does not use."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("it is no private key in PEM without a passphrase") from None
    if isinstance(key, Ed25519PrivateKey):
        return PrivateKey(ED25519, key)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("it is neither an RSA nor an Ed25519 key")
    if key.key_size < RSA_BITS_MIN:
        raise ValueError(f"its {key.key_size} bits are fewer than {RSA_BITS_MIN}")
    return PrivateKey(RSA, key)


def verify(algorithm: str, public_octets: bytes, octets: bytes, signature: bytes) -> bool:
    """Return True if a signature over octets is valid; raises KeyRecordError for an unusable public key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        if algorithm == ED25519:
            key = Ed25519PublicKey.from_public_bytes(public_octets)
            key.verify(signature, hashlib.sha256(octets).digest())
        else:
            _rsa_key(public_octets).verify(signature, octets, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    except ValueError as error:
        raise KeyRecordError(f"the key cannot be used: {error}") from error
    return True


def _rsa_key(octets: bytes) -> "RSAPublicKey":
    """Decode an RSA public key; raises ValueError if it is malformed, KeyRecordError if its length is not permitted."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        # RFC 6376 section 3.6.1 names RSAPublicKey, but its examples and all signers use SubjectPublicKeyInfo.
        key = load_der_public_key(octets if _RSA_ALGORITHM in octets else _as_public_key_info(octets))
    except UnsupportedAlgorithm as error:
        raise KeyRecordError(f"the key cannot be used: {error}") from error
    if not isinstance(key, RSAPublicKey):
        raise KeyRecordError("the key is not an RSA key")
    if not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
        raise KeyRecordError(f"the key has {key.key_size} bits, expected {RSA_BITS_MIN} to {RSA_BITS_MAX}")
    return key


def _as_public_key_info(octets: bytes) -> bytes:
    """Wrap an RSAPublicKey in a SubjectPublicKeyInfo (DER)."""
    return _tlv(0x30, _RSA_ALGORITHM + _tlv(0x03, b"\0" + octets))


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content
