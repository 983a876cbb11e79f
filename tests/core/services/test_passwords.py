"""scrypt hashes: the password that was hashed matches, and no other."""

from __future__ import annotations

import hashlib

from lab7.services.passwords import ScryptHash

SALT = bytes(range(16))


def test_a_password_matches_its_hash_and_no_other() -> None:
    stored = ScryptHash.create(b"open sesame", SALT)
    assert stored.matches(b"open sesame")
    assert not stored.matches(b"open sesame ")


def test_the_hash_is_that_of_rfc_7914() -> None:
    digest = hashlib.scrypt(b"secret", salt=SALT, n=1 << 14, r=8, p=1, dklen=32)
    assert ScryptHash.create(b"secret", SALT) == ScryptHash(1 << 14, 8, 1, SALT, digest)


def test_the_parameters_of_a_stored_hash_are_used() -> None:
    digest = hashlib.scrypt(b"secret", salt=SALT, n=2, r=1, p=2, dklen=32)
    assert ScryptHash(2, 1, 2, SALT, digest).matches(b"secret")
