"""Signing of zones when they are loaded, with keys from a directory or derived from a secret text.

--sign-keys DIRECTORY   a zone with keys in the directory is signed, and a zone cut gets DS records if the child's
                        keys are there
--sign-seed TEXT        every zone is signed, and every zone cut gets the DS record of the child's key derived from
                        TEXT
"""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata_security import DS
from lab7.services.dns.security.algorithms import require_library
from lab7.services.dns.security.keys import SigningKey, derived_keys, ds_of, read_keys
from lab7.services.dns.security.signer import VALIDITY_S, Nsec3Policy, SigningPolicy, delegation_records, sign_zone
from lab7.services.dns.zones.zone import Zone
from lab7.services.errors import ServiceError

# Zones are signed again when two thirds of the validity are left; BIND waits until a third is left.
RESIGN_S = VALIDITY_S / 3


class DirectorySigner:
    """Zone signer with the keys of a directory: signs the zones that have keys, and leaves others unsigned."""

    def __init__(self, keys: list[SigningKey], now: Callable[[], float], nsec3: Nsec3Policy | None) -> None:
        self._keys = keys
        self._now = now
        self._nsec3 = nsec3

    def __call__(self, zone: Zone) -> Zone:
        """Return the signed zone, or the zone unchanged if it has no key."""
        if all(key.zone != zone.origin for key in self._keys):
            return zone
        return sign_zone(zone, self._keys, SigningPolicy.at(self._now(), self._nsec3), delegation_records(self._keys))


class SeedSigner:
    """Signer of all zones except those in `insecure`, with keys derived from a secret text, the seed."""

    def __init__(
        self, seed: str, insecure: Iterable[Name], now: Callable[[], float], nsec3: Nsec3Policy | None
    ) -> None:
        self._seed = seed
        self._insecure = frozenset(insecure)
        self._now = now
        self._nsec3 = nsec3

    def __call__(self, zone: Zone) -> Zone:
        """Return the signed zone, or the zone unchanged if it is in `insecure`."""
        if zone.origin in self._insecure:
            return zone
        cuts = [
            node[RRType.NS].name
            for key, node in zone.nodes.items()
            if RRType.NS in node and key != zone.origin.folded and node[RRType.NS].name not in self._insecure
        ]
        delegations = {cut: [self._ds(cut)] for cut in cuts}
        policy = SigningPolicy.at(self._now(), self._nsec3)
        return sign_zone(zone, derived_keys(zone.origin, self._seed), policy, delegations)

    def _ds(self, zone: Name) -> DS:
        return ds_of(zone, derived_keys(zone, self._seed)[0].dnskey)


def nsec3_policy(options: argparse.Namespace) -> Nsec3Policy | None:
    """Return the NSEC3 parameters of --nsec3 and --opt-out, None for NSEC; raises ServiceError."""
    if options.opt_out and not options.nsec3:
        raise ServiceError("--opt-out needs --nsec3")
    return Nsec3Policy(opt_out=options.opt_out) if options.nsec3 else None


def zone_signer(options: argparse.Namespace, now: Callable[[], float]) -> DirectorySigner | SeedSigner | None:
    """Return the zone signer for --sign-keys or --sign-seed, None without both; raises ServiceError."""
    nsec3 = nsec3_policy(options)
    if options.sign_keys is None and options.sign_seed is None:
        if nsec3 is not None or options.insecure:
            raise ServiceError("--nsec3 and --insecure need --sign-keys or --sign-seed")
        return None
    require_library()
    if options.sign_keys is not None:
        return DirectorySigner(read_keys(Path(options.sign_keys)), now, nsec3)
    return SeedSigner(options.sign_seed, options.insecure, now, nsec3)
