"""Signing of zones when they are loaded, with keys of a directory or derived from a text.

--sign-keys DIRECTORY   the zones that have keys there are signed; zone cuts whose keys are there get DS records
--sign-seed TEXT        every zone is signed, and every zone cut gets the DS record of the key that TEXT gives its zone
"""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

from services.dns.codec.codes import RRType
from services.dns.codec.name import Name
from services.dns.codec.rdata_security import DS
from services.dns.security.algorithms import require_library
from services.dns.security.keys import SigningKey, derived_keys, ds_of, read_keys
from services.dns.security.signer import VALIDITY_S, Nsec3Policy, SigningPolicy, delegation_records, sign_zone
from services.dns.zones.zone import Zone
from services.errors import ServiceError

# Signatures are made anew when two thirds of their validity are left; BIND waits for a third.
RESIGN_S = VALIDITY_S / 3


class DirectorySigner:
    """Signs the zones that have keys in a list; the others stay as they are."""

    def __init__(self, keys: list[SigningKey], now: Callable[[], float], nsec3: Nsec3Policy | None) -> None:
        self._keys = keys
        self._now = now
        self._nsec3 = nsec3

    def __call__(self, zone: Zone) -> Zone:
        """Return the signed zone."""
        if all(key.zone != zone.origin for key in self._keys):
            return zone
        return sign_zone(zone, self._keys, SigningPolicy.at(self._now(), self._nsec3), delegation_records(self._keys))


class SeedSigner:
    """Signs all zones but the `insecure` ones with derived keys."""

    def __init__(
        self, seed: str, insecure: Iterable[Name], now: Callable[[], float], nsec3: Nsec3Policy | None
    ) -> None:
        self._seed = seed
        self._insecure = frozenset(insecure)
        self._now = now
        self._nsec3 = nsec3

    def __call__(self, zone: Zone) -> Zone:
        """Return the signed zone."""
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
    """Return the parameters of --nsec3 and --opt-out, None for NSEC; raises ServiceError."""
    if options.opt_out and not options.nsec3:
        raise ServiceError("--opt-out needs --nsec3")
    return Nsec3Policy(opt_out=options.opt_out) if options.nsec3 else None


def zone_signer(options: argparse.Namespace, now: Callable[[], float]) -> DirectorySigner | SeedSigner | None:
    """Return the signer of the flags of add_signing_flags, None without; raises ServiceError."""
    nsec3 = nsec3_policy(options)
    if options.sign_keys is None and options.sign_seed is None:
        if nsec3 is not None or options.insecure:
            raise ServiceError("--nsec3 and --insecure need --sign-keys or --sign-seed")
        return None
    require_library()
    if options.sign_keys is not None:
        return DirectorySigner(read_keys(Path(options.sign_keys)), now, nsec3)
    return SeedSigner(options.sign_seed, options.insecure, now, nsec3)
