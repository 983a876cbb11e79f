"""Signed zones for tests: from text, with derived keys."""

from __future__ import annotations

from functools import cache

from lab7.services.dns.codec.codes import type_from_text
from lab7.services.dns.codec.master_file import parse_master_file
from lab7.services.dns.codec.message import EDNS, Message, Question
from lab7.services.dns.codec.name import Name
from lab7.services.dns.security.keys import SigningKey, derived_keys
from lab7.services.dns.security.signer import Nsec3Policy, SigningPolicy, delegation_records, sign_zone
from lab7.services.dns.server.responder import Client
from lab7.services.dns.zones.handler import Authority
from lab7.services.dns.zones.zone import Zone, Zones

SECRET = "test"
NOW = 1_800_000_000
CLIENT = Client("127.0.0.1", 1)


def keys_of(origin: str) -> tuple[SigningKey, SigningKey]:
    return derived_keys(Name.from_text(origin), SECRET)


def unsigned(origin: str, text: str) -> Zone:
    soa = f"$TTL 300\n@ SOA ns.{origin.lstrip('.')} host.{origin.lstrip('.')} 1 1d 2h 4w 60\n"
    return Zone.from_entries(parse_master_file(soa + text, Name.from_text(origin)), Name.from_text(origin))


@cache
def signed(origin: str, text: str, nsec3: Nsec3Policy | None = None, children: tuple[str, ...] = ()) -> Zone:
    """Return a zone signed at NOW; `children` are the zone cuts that get a DS record."""
    delegations = delegation_records(key for child in children for key in keys_of(child))
    policy = SigningPolicy.at(NOW, nsec3)
    return sign_zone(unsigned(origin, text), keys_of(origin), policy, delegations)


def asked(zone: Zone, name: str, rtype: str, do: bool = True) -> Message:
    """Return the answer of a server for one zone."""
    question = Question(Name.from_text(name), type_from_text(rtype))
    query = Message(id=1, questions=(question,), edns=EDNS(do=do))
    return Authority(Zones([zone]))(query, CLIENT)


def lines(message: Message, section: str) -> list[str]:
    """Return the records of a section as `name type ...`, signatures with the type covered only."""
    found = []
    for record in getattr(message, section):
        words = record.to_text().split()
        found.append(" ".join([words[0], *words[3 : 5 if words[3] == "RRSIG" else None]]))
    return found
