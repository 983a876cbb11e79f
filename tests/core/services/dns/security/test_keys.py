"""Keys: key tags and digests of the RFCs and of dnspython, and the files of dnssec-keygen."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import dns.dnssec
import dns.name
import dns.rdata
import pytest

from lab7.services.dns.codec.rdata_security import DNSKEY
from lab7.services.dns.security.algorithms import Algorithm, Digest, generate_key
from lab7.services.dns.security.keys import (
    SigningKey,
    derived_keys,
    ds_of,
    key_tag,
    matches,
    read_key,
    read_keys,
    write_key,
)
from lab7.services.errors import ServiceError
from lab7.topologies.dns import ROOT_ANCHOR, SEED
from tests.core.services.dns.security.records import ds, name, rrset

SIGNERS = [
    Algorithm.RSASHA256,
    Algorithm.ECDSAP256SHA256,
    Algorithm.ECDSAP384SHA384,
    Algorithm.ED25519,
    Algorithm.ED448,
]
KEYS = [
    (
        # RFC 4034 section 5.4
        "dskey.example.com. 86400 DNSKEY 256 3 5 AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2p"
        "Hm822aJ5iI9BMzNXxeYCmZ"
        "DRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==",
        "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
    ),
    (
        # RFC 6605 section 6.2
        "example.net. 3600 DNSKEY 257 3 14 xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtN"
        "Jhyem5RCOpgQ6K8X1DRSEkrb"
        "YQ+OB+v8/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40",
        "10771 14 4 72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df983d6",
    ),
    (
        # RFC 8080 section 6.2
        "example.com. 3600 DNSKEY 257 3 16 3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfP"
        "odx1FYYUcJKm1MDpJtIA",
        "9713 16 2 6ccf18d5bc5d7fc2fceb1d59d17321402f2aa8d368048db93dd811f5cb2b19c7",
    ),
]


@pytest.mark.parametrize(("key", "expected"), KEYS)
def test_the_key_tags_and_digests_of_the_rfcs(key: str, expected: str) -> None:
    data, record = rrset(key), ds(f"example. 1 DS {expected}")
    (public,) = data.rdatas
    assert isinstance(public, DNSKEY)
    assert key_tag(public) == record.key_tag
    assert ds_of(data.name, public, record.digest_type) == record
    assert matches(data.name, public, record)
    assert not matches(name("other.example."), public, record)


@pytest.mark.parametrize("algorithm", SIGNERS)
@pytest.mark.parametrize("digest_type", [Digest.SHA256, Digest.SHA384])
def test_dnspython_computes_the_same_digest_and_tag(algorithm: Algorithm, digest_type: Digest) -> None:
    key = SigningKey.of(name("Child.example."), generate_key(algorithm), 257)
    theirs = dns.rdata.from_text("IN", "DNSKEY", key.dnskey.to_text())
    made = dns.dnssec.make_ds(dns.name.from_text("child.example."), theirs, digest_type.name)
    assert ds_of(key.zone, key.dnskey, digest_type) == ds(f"child.example. 1 DS {made.to_text()}")


def test_derived_keys_are_the_same_each_time_and_differ_by_zone_role_and_secret() -> None:
    ksk, zsk = derived_keys(name("example."), "secret")
    assert derived_keys(name("EXAMPLE."), "secret")[0].dnskey == ksk.dnskey
    others = [*derived_keys(name("other."), "secret"), *derived_keys(name("example."), "secret2"), zsk]
    assert len({key.dnskey.key for key in (ksk, *others)}) == 1 + len(others)
    assert (ksk.is_key_signing, zsk.is_key_signing) == (True, False)


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_a_key_survives_its_files(algorithm: Algorithm, tmp_path: Path) -> None:
    key = SigningKey.of(name("Example."), generate_key(algorithm), 257)
    path = write_key(tmp_path, key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.name == f"Kexample.+{int(algorithm):03d}+{key.tag:05d}.private"
    (again,) = read_keys(tmp_path)
    assert again.dnskey == key.dnskey
    assert again.private.public == key.dnskey.key


@pytest.mark.skipif(shutil.which("dnssec-keygen") is None, reason="needs dnssec-keygen (make peers)")
@pytest.mark.parametrize("algorithm", ["RSASHA256", "ECDSAP256SHA256", "ECDSAP384SHA384", "ED25519"])
def test_keys_of_dnssec_keygen_are_read(algorithm: str, tmp_path: Path) -> None:
    subprocess.run(
        ["dnssec-keygen", "-q", "-K", tmp_path, "-a", algorithm, "-f", "KSK", "example."],
        check=True,
        capture_output=True,
    )
    (key,) = read_keys(tmp_path)
    assert key.zone == name("example.")
    assert key.is_key_signing


def test_the_trust_anchor_of_the_topology_is_the_root_key_of_its_seed() -> None:
    ksk, _ = derived_keys(name("."), SEED)
    assert f". IN DS {ds_of(ksk.zone, ksk.dnskey).to_text()}" == ROOT_ANCHOR


def test_a_wrong_key_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="has no key"):
        read_keys(tmp_path)
    path = write_key(tmp_path, SigningKey.of(name("example."), generate_key(Algorithm.ED25519), 257))
    public = path.with_suffix(".key")
    for text, reason in (
        ("", "has 0 DNSKEY records"),
        ("example. DNSKEY 257 3 5 AQAB\n", "not used for signing"),
        ("example. DNSKEY 257 3 15 AQAB\n", "is not the private key of"),
        ("example. A 192.0.2.300\n", "invalid IPv4 address"),
    ):
        public.write_text("$TTL 60\n" + text)
        with pytest.raises(ServiceError, match=reason):
            read_key(path)
    public.write_text("$TTL 60\nexample. DNSKEY 257 3 15 AQAB\n")
    path.write_text("nothing\n")
    with pytest.raises(ServiceError, match="is not a private key"):
        read_key(path)
    path.unlink()
    with pytest.raises(ServiceError, match="cannot read the key"):
        read_key(path)
