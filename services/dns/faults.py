"""Deliberate faults of DNS servers for exercises in troubleshooting, enabled by `--fault NAME` (services/faults.py).

FaultyResponder wraps the responder of a server, the function from the octets of a query to those of its response. It
decodes each response, and changes it to the response of a misconfigured server, or of a server whose zone has the
fault. Left out: faults in the octets of a message, and zone transfers.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace

from lab7.services.bounded_dict import BoundedDict
from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.message import Message, Question, Record
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import CNAME, MX
from lab7.services.dns.server.responder import Client, Response, accept

AUTHORITATIVE_FAULTS: Mapping[str, str] = {
    "lame-no-aa": "answers without AA, as a server does that does not know that it has the zone",
    "lame-refused": "REFUSED for every name, as a server does to which a zone is delegated that it has not",
    "cname-beside-data": "a CNAME record beside the address records of a name",
    "mx-to-cname": "MX records that name an alias",
    "no-glue": "referrals without the addresses of name servers within the delegated zone",
    "no-soa": "NXDOMAIN and NODATA without the SOA record",
    "unequal-ttls": "different TTLs in one RRset",
    "no-truncation": "responses by UDP of any size, without TC",
}
RESOLVER_FAULTS: Mapping[str, str] = {
    "ttl-ignored": "cached answers with the TTL of their first response, for ever",
    "noerror-for-nxdomain": "NOERROR for names that do not exist",
    "no-truncation": AUTHORITATIVE_FAULTS["no-truncation"],
}
# Suffix of the first label of an alias that the fault mx-to-cname invents.
ALIAS = b"-alias"
# Maximum number of responses that the fault ttl-ignored stores.
ANSWERS_MAX = 4096


class FaultyResponder:
    """Responder that wraps another responder, and injects the faults enabled by --fault into its responses."""

    def __init__(self, respond: Callable[[bytes, Client], Response], faults: Collection[str]) -> None:
        self._respond = respond
        self._faults = faults
        self._changes = [CHANGES[name] for name in faults if name in CHANGES]
        self._answers: BoundedDict[Question, bytes] = BoundedDict(ANSWERS_MAX)

    def cached(self, data: bytes) -> bytes | None:
        """Return None: with faults enabled, no response comes from the cache of encoded responses."""
        del data
        return None

    def __call__(self, data: bytes, client: Client) -> Response:
        """Return the encoded response with the enabled faults; None to drop the query; or an awaitable of either."""
        query = accept(data)
        if not isinstance(query, Message):
            return query
        if "ttl-ignored" in self._faults and (kept := self._answers.get(query.questions[0])) is not None:
            return data[:2] + kept[2:]
        asked = self._canonical(query)
        if "no-truncation" in self._faults:
            client = replace(client, over_tcp=True)
        response = self._respond(data if asked is query else asked.to_wire(), client)
        if response is None or isinstance(response, bytes):
            return self._changed(query, asked, response)
        return self._changed_later(query, asked, response)

    async def _changed_later(self, query: Message, asked: Message, response: Awaitable[bytes | None]) -> bytes | None:
        return self._changed(query, asked, await response)

    def _changed(self, query: Message, asked: Message, octets: bytes | None) -> bytes | None:
        if octets is None:
            return None
        message = Message.from_wire(octets)
        if asked is not query:
            message = _with_alias(message, query.questions[0], asked.questions[0].name)
        for change in self._changes:
            message = change(message)
        octets = message.to_wire()
        if "ttl-ignored" in self._faults and message.answers:
            self._answers.put(query.questions[0], octets)
        return octets

    def _canonical(self, query: Message) -> Message:
        """Return a query for an alias that the fault mx-to-cname has invented as a query for the real host name.

        Any other query is returned unchanged.
        """
        question = query.questions[0]
        first = question.name.labels[0] if question.name.labels else b""
        if "mx-to-cname" not in self._faults or not first.endswith(ALIAS):
            return query
        name = Name((first.removesuffix(ALIAS), *question.name.labels[1:]))
        return replace(query, questions=(replace(question, name=name),))


def _with_alias(message: Message, question: Question, target: Name) -> Message:
    """Convert a response about `target` to one to `question`, whose answer begins with a CNAME to `target`."""
    ttl = message.answers[0].ttl if message.answers else 0
    alias = Record(question.name, RRType.CNAME, question.rclass, ttl, CNAME(target))
    return replace(message, questions=(question,), answers=(alias, *message.answers))


def _without_aa(message: Message) -> Message:
    return replace(message, aa=False) if message.aa else message


def _refused(message: Message) -> Message:
    return replace(message, aa=False, rcode=Rcode.REFUSED, answers=(), authority=(), additional=())


def _with_cname_beside(message: Message) -> Message:
    first = next((one for one in message.answers if one.rtype in (RRType.A, RRType.AAAA)), None)
    if first is None or any(one.rtype == RRType.CNAME for one in message.answers):
        return message
    alias = Record(first.name, RRType.CNAME, first.rclass, first.ttl, CNAME(first.name.child(b"canonical")))
    return replace(message, answers=(*message.answers, alias))


def _with_mx_to_alias(message: Message) -> Message:
    answers = tuple(
        replace(one, rdata=replace(one.rdata, exchange=_alias(one.rdata.exchange)))
        if isinstance(one.rdata, MX)
        else one
        for one in message.answers
    )
    # The additional section is dropped: its address records belong to the canonical names, not to the aliases.
    return message if answers == message.answers else replace(message, answers=answers, additional=())


def _alias(name: Name) -> Name:
    return Name((name.labels[0] + ALIAS, *name.labels[1:])) if name.labels else name


def _without_glue(message: Message) -> Message:
    is_referral = not message.aa and not message.answers and any(one.rtype == RRType.NS for one in message.authority)
    return replace(message, additional=()) if is_referral else message


def _without_soa(message: Message) -> Message:
    return (
        message
        if message.answers
        else replace(message, authority=tuple(one for one in message.authority if one.rtype != RRType.SOA))
    )


def _with_unequal_ttls(message: Message) -> Message:
    if len(message.answers) < 2:
        return message
    *rest, last = message.answers
    return replace(message, answers=(*rest, replace(last, ttl=last.ttl // 2)))


def _noerror(message: Message) -> Message:
    return replace(message, rcode=Rcode.NOERROR) if message.rcode == Rcode.NXDOMAIN else message


CHANGES: Mapping[str, Callable[[Message], Message]] = {
    "lame-no-aa": _without_aa,
    "lame-refused": _refused,
    "cname-beside-data": _with_cname_beside,
    "mx-to-cname": _with_mx_to_alias,
    "no-glue": _without_glue,
    "no-soa": _without_soa,
    "unequal-ttls": _with_unequal_ttls,
    "noerror-for-nxdomain": _noerror,
}
