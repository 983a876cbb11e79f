"""Simulated Internet with signed zones: the servers of simulated_internet, a resolver that validates from the root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lab7.services.dns.codec.codes import Rcode
from lab7.services.dns.codec.message import EDNS, Message, Question
from lab7.services.dns.codec.name import Name
from lab7.services.dns.recursion.handler import recursive_reply
from lab7.services.dns.recursion.iterator import Result
from lab7.services.dns.security.extended_error import extended_errors
from lab7.services.dns.security.keys import ds_of
from lab7.services.dns.security.signer import Nsec3Policy
from lab7.services.dns.security.trust import SecurityContext, TrustAnchors
from lab7.services.dns.zones.zone import Zone
from tests.core.services.dns.recursion.simulated_internet import Behaviour, World, authoritative
from tests.core.services.dns.security.zones import NOW, keys_of, signed, unsigned

ROOT_TEXT = "@ NS a.root.test.\na.root.test. A 127.0.1.1\ncom NS a.gtld.test.\na.gtld.test. A 127.0.1.2\n"
COM_TEXT = """
@ NS a.gtld.test.
example NS ns1.example
example NS ns2.example
ns1.example A 127.0.1.3
ns2.example A 127.0.1.4
plain NS ns.plain
ns.plain A 127.0.1.5
"""
EXAMPLE_TEXT = """
@ NS ns1
@ NS ns2
@ MX 10 mail
ns1 A 127.0.1.3
ns2 A 127.0.1.4
www A 192.0.2.1
www A 192.0.2.2
mail A 192.0.2.3
alias CNAME www
toplain CNAME www.plain.com.
dangling CNAME none
*.w TXT wild
*.w A 192.0.2.4
*.wc CNAME www
a.b.ent TXT deep
old DNAME new
a.new A 192.0.2.5
insecure NS ns.insecure
ns.insecure A 127.0.1.6
span.of NS ns.span.of
ns.span.of A 127.0.1.6
sub NS ns.sub
ns.sub A 127.0.1.3
"""
PLAIN_TEXT = "@ NS ns\nns A 127.0.1.5\nwww A 192.0.2.50\nback CNAME www.example.com.\n"
INSECURE_TEXT = "@ NS ns\nns A 127.0.1.6\nwww A 192.0.2.60\n"
# On the servers of its parent zone, so that no referral leads to it.
SUB_TEXT = "@ NS ns\nns A 127.0.1.3\nwww A 192.0.2.70\n"

Change = Callable[[Message, Message], Message]


def anchors(zone: str = ".") -> TrustAnchors:
    """Return the DS record of a zone's derived key as the trust anchor."""
    origin = Name.from_text(zone)
    return {origin: (ds_of(origin, keys_of(zone)[0].dnskey),)}


def example_zones(nsec3: Nsec3Policy | None = None) -> list[Zone]:
    return [
        signed("example.com.", EXAMPLE_TEXT, nsec3, ("sub.example.com.",)),
        signed("sub.example.com.", SUB_TEXT, nsec3),
    ]


def signed_world(nsec3: Nsec3Policy | None = None, trust: TrustAnchors | None = None, **changes: Behaviour) -> World:
    """Return the usual Internet, signed: root .1, com .2, example.com .3 and .4; unsigned .5 and .6."""
    example = authoritative(*example_zones(nsec3))
    com = signed("com.", COM_TEXT, nsec3, ("example.com.",))
    servers = {
        "127.0.1.1": authoritative(signed(".", ROOT_TEXT, nsec3, ("com.",))),
        "127.0.1.2": authoritative(com),
        "127.0.1.3": example,
        "127.0.1.4": example,
        "127.0.1.5": authoritative(unsigned("plain.com.", PLAIN_TEXT)),
        "127.0.1.6": authoritative(
            unsigned("insecure.example.com.", INSECURE_TEXT), unsigned("span.of.example.com.", INSECURE_TEXT)
        ),
    }
    servers |= {f"127.0.1.{key[1:]}": behaviour for key, behaviour in changes.items()}
    world = World(servers)
    security = SecurityContext(anchors() if trust is None else trust, lambda: NOW)
    world.context = world.context.secured(security)
    return world


def changed(behaviour: Behaviour, change: Change) -> Behaviour:
    """Return a server whose responses are changed: `change` has the query and the response."""

    def answer(query: Message, ask: object) -> Message | None:
        reply = behaviour(query, ask)  # type: ignore[arg-type]
        return None if reply is None else change(query, reply)

    return answer


def without(*rtypes: int, section: str = "answers", of: int | None = None) -> Change:
    """Return a change that removes the records of these types from a section, of responses to queries for `of`."""

    def change(query: Message, reply: Message) -> Message:
        if of is not None and query.questions[0].rtype != of:
            return reply
        kept = tuple(record for record in getattr(reply, section) if record.rtype not in rtypes)
        return replace(reply, answers=kept) if section == "answers" else replace(reply, authority=kept)

    return change


def reply_to(result: Result, name: str, rtype: int, do: bool = True, ad: bool = False, cd: bool = False) -> Message:
    """Return the response that a client with DO gets."""
    question = Question(Name.from_text(name), rtype)
    query = Message(id=1, rd=True, ad=ad, cd=cd, questions=(question,), edns=EDNS(do=do))
    return recursive_reply(query, result)


def is_authenticated(result: Result) -> bool:
    """Tell whether a client with DO gets AD."""
    return recursive_reply(Message(edns=EDNS(do=True)), result).ad


def reason(result: Result) -> int | None:
    """Return the code of the extended error that a client gets; each SERVFAIL has one."""
    reply = recursive_reply(Message(edns=EDNS()), result)
    codes = [error.code for error in extended_errors(reply)]
    assert codes or result.rcode != Rcode.SERVFAIL, result
    return codes[0] if codes else None
