"""SPF and DMARC records in captured DNS responses, and the SPF result for a client's address.

Supported are SPF (RFC 7208 sections 4 and 5) with the mechanisms all, a, mx, ip4 and include, without macros, and DMARC
policies (RFC 7489 section 6.3). A record with anything else, or a name without a captured response, raises
Inconclusive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from lab7.experiments.dns.wire.messages import DnsMessage, canonical
from lab7.experiments.dns.wire.traffic import DnsTraffic
from lab7.experiments.harness.judge.verdict import Inconclusive

RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_TERM = re.compile(r"([-+~?]?)(all|a|mx|ip4|include)(?::([^/%]+))?(?:/(\d+))?\Z")
_STRING = re.compile(r'"([^"]*)"')


@dataclass(frozen=True)
class Published:
    """DNS records that a host has received: (name, type) -> values, and the frame number of the response."""

    answers: dict[tuple[str, str], tuple[tuple[str, ...], int]]

    @classmethod
    def of(cls, traffic: DnsTraffic) -> Published:
        """Collect the records in all responses of the traffic; of several responses to a question, the last counts."""
        found = {}
        for exchange in traffic.exchanges:
            response, question = exchange.response, exchange.query.question
            if response is not None and question is not None and response.rcode in (0, 3):
                values = _values(response, question.qtype)
                found[question.qname, question.qtype] = (values, response.frame)
        return cls(found)

    def values(self, name: str, rtype: str) -> tuple[tuple[str, ...], int]:
        """Return (values of the records with a name and type, frame number of the response).

        Raises Inconclusive if no response was captured.
        """
        key = (canonical(name), rtype)
        if key not in self.answers:
            raise Inconclusive(f"The capture has no response for {key[0]} {rtype}.")
        return self.answers[key]

    def text(self, name: str, version: str) -> tuple[str, int]:
        """Return (TXT record of a name that begins with `version`, frame number of the response).

        The record is "" if the name has none. Raises Inconclusive if no response was captured.
        """
        values, frame = self.values(name, "TXT")
        texts = ["".join(_STRING.findall(value)) for value in values]
        return next((text for text in texts if text.startswith(version)), ""), frame


def _values(response: DnsMessage, rtype: str) -> tuple[str, ...]:
    return tuple(record.rdata for record in response.answer if record.type == rtype)


def spf_result(published: Published, domain: str, address: str) -> tuple[str, list[int]]:
    """Evaluate a domain's SPF record for a client's address; return (SPF result, frame numbers of the records).

    Raises Inconclusive if a response was not captured.
    """
    text, frame = published.text(domain, "v=spf1")
    frames = [frame]
    if not text:
        return "none", frames
    for term in text.split()[1:]:
        parts = _TERM.match(term)
        if parts is None:
            raise Inconclusive(f"The term {term!r} of the SPF record of {domain} is not read here.")
        qualifier, mechanism, target, prefix = parts.groups()
        matches, more = _matches(published, mechanism, target or domain, prefix or "32", address)
        frames += more
        if matches:
            return RESULTS[qualifier or "+"], frames
    return "neutral", frames


def _matches(published: Published, mechanism: str, target: str, prefix: str, address: str) -> tuple[bool, list[int]]:
    if mechanism == "all":
        return True, []
    if mechanism == "ip4":
        return ip_address(address) in ip_network(f"{target}/{prefix}", strict=False), []
    if mechanism == "include":
        result, frames = spf_result(published, target, address)
        return result == "pass", frames
    hosts, frames = [target], []
    if mechanism == "mx":
        values, frame = published.values(target, "MX")
        hosts, frames = [value.split()[1] for value in values], [frame]
    for host in hosts:
        values, frame = published.values(host, "A")
        frames.append(frame)
        if _is_in(address, values, prefix):
            return True, frames
    return False, frames


def _is_in(address: str, values: Iterable[str], prefix: str) -> bool:
    return any(ip_address(address) in ip_network(f"{value}/{prefix}", strict=False) for value in values)


def dmarc_policy(published: Published, domain: str) -> tuple[str, int]:
    """Return (policy in a domain's own DMARC record, frame number of the response).

    The policy is "" if there is no record. Raises Inconclusive if no response was captured.
    """
    text, frame = published.text(f"_dmarc.{domain}", "v=DMARC1")
    found = re.search(r";\s*p\s*=\s*([a-z]+)", text)
    return (found[1] if found is not None else ""), frame
