"""DNS records for the cores of mail authentication: master-file text in place of name servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.master_file import parse_master_file
from lab7.services.dns.codec.message import Message
from lab7.services.dns.codec.name import ROOT, Name
from lab7.services.mail.authentication.lookup import Lookups
from lab7.services.mail.delivery.routes import Answer, Lookup

T = TypeVar("T")


class Records:
    """Records of any domains; names in `failing` give SERVFAIL, those in `silent` nothing; `asked` are the queries."""

    def __init__(self, text: str, failing: Sequence[str] = (), silent: Sequence[str] = ()) -> None:
        self._records = [entry.record for entry in parse_master_file("$TTL 60\n" + text, ROOT)]
        self._failing, self._silent = failing, silent
        self.asked: list[str] = []

    def run(self, steps: Lookups[T]) -> T:
        """Run a generator to its end."""
        try:
            lookup = next(steps)
            while True:
                self.asked.append(f"{lookup.name} {RRType(lookup.rtype).name}")
                lookup = steps.send(self.answer(lookup))
        except StopIteration as end:
            result: T = end.value
            return result

    def answer(self, lookup: Lookup) -> Answer:
        """Return the response to one query."""
        name: Name = lookup.name
        if str(name) in self._silent:
            return Answer(None)
        if str(name) in self._failing:
            return Answer(Message(qr=True, rcode=Rcode.SERVFAIL))
        owned = [record for record in self._records if record.name == name]
        found = tuple(record for record in owned if record.rtype in (lookup.rtype, RRType.CNAME))
        exists = any(record.name.is_below(name) for record in self._records)
        return Answer(Message(qr=True, rcode=Rcode.NOERROR if exists else Rcode.NXDOMAIN, answers=found))
