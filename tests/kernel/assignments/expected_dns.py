"""Answers by tshark to the questions of the assignments on the DNS."""

from __future__ import annotations

from pathlib import Path

from tests.kernel.assignments import tshark
from tests.kernel.assignments.tshark import Expected, Values, at

AT_LOCAL, AT_CLIENT = at("local"), at("client")
QUERY, RESPONSE = "dns.flags.response == 0", "dns.flags.response == 1"
A, PTR, MX = 1, 12, 15
LOCAL, CLIENT = "10.53.9.53", "10.53.9.1"


def _first_answer(capture: Path) -> int:
    """Return the frame of the local server's response to the first query of the client."""
    return tshark.frames(capture, f"{AT_LOCAL} && ip.src == {LOCAL} && {RESPONSE}")[0]


def _upstream(capture: Path, which: str, *names: str) -> list[list[str]]:
    until = f"frame.number < {_first_answer(capture)}"
    return tshark.fields(capture, f"{AT_LOCAL} && !(ip.addr == {CLIENT}) && {which} && {until}", *names)


def _longest_leg(capture: Path, _values: Values) -> str:
    sent: dict[str, int] = {}
    spans = []
    for port, frame in _upstream(capture, QUERY, "udp.srcport", "frame.number"):
        sent[port] = int(frame)
    for port, frame in _upstream(capture, RESPONSE, "udp.dstport", "frame.number"):
        between = tshark.times_ns(capture, f"frame.number == {sent[port]} || frame.number == {frame}")
        spans.append(between[1] - between[0])
    return tshark.ms(max(spans))


def _wait_ns(capture: Path, place: int) -> int:
    queries, responses = (tshark.times_ns(capture, f"{AT_CLIENT} && udp && {which}") for which in (QUERY, RESPONSE))
    return responses[place] - queries[place]


def _frames(capture: Path, display_filter: str) -> str:
    return ", ".join(map(str, tshark.frames(capture, f"{AT_LOCAL} && {display_filter}")))


def _second_ttl(capture: Path, _values: Values) -> str:
    ttls = tshark.fields(capture, f"{AT_CLIENT} && {RESPONSE} && dns.a", "dns.resp.ttl")[1][0]
    return f"{ttls.split('|')[0]} s"


DNS_RESOLUTION: Expected = {
    "q1": lambda capture, _: ", ".join(row[0] for row in _upstream(capture, QUERY, "ip.dst")),
    "q2": lambda capture, _: _upstream(capture, RESPONSE, "dns.resp.name")[0][0].split("|")[0].lower() + ".",
    "q3": lambda capture, _: _upstream(capture, RESPONSE, "dns.a")[0][0],
    "q4": lambda capture, _: "a) yes" if _upstream(capture, RESPONSE, "dns.a")[1][0] else "b) no",
    "q5": lambda capture, _: _frames(capture, f"udp && dns.flags.recdesired == 1 && {QUERY}"),
    "q6": lambda capture, _: _frames(capture, "dns.flags.authoritative == 1"),
    "q7": _longest_leg,
    "q8": lambda capture, _: tshark.ms(_wait_ns(capture, 0)),
    "q9": lambda capture, _: tshark.ms(_wait_ns(capture, 0) - _wait_ns(capture, 1)),
    "q10": _second_ttl,
    "q11": lambda capture, _: _frames(capture, f"ip.dst == {LOCAL} && dns.flags.truncated == 1"),
    "q12": lambda capture, _: (
        f"{tshark.fields(capture, f'{AT_LOCAL} && tcp.srcport == 53 && {RESPONSE}', 'dns.length')[0][0]} bytes"
    ),
}


def _response(capture: Path, kind: int, name: str, *fields: str) -> list[list[str]]:
    """Return the fields of the first response for a name and type, each split into its values."""
    rows = tshark.fields(
        capture, f'{RESPONSE} && dns.qry.type == {kind} && lower(dns.qry.name) == "{name.rstrip(".")}"', *fields
    )
    return [value.split("|") for value in rows[0]]


def _exchanges_of_mail(capture: Path, values: Values) -> str:
    found = _response(capture, MX, values["domain"], "dns.mx.preference", "dns.mx.mail_exchange")
    return ", ".join(f"{name}." for _, name in sorted((int(value), name) for value, name in zip(*found, strict=True)))


def _chain_lifetime(capture: Path, values: Values) -> str:
    (ttls, addresses, names) = _response(capture, A, values["alias"], "dns.resp.ttl", "dns.a", "dns.cname")
    return f"{min(map(int, ttls[: len(addresses) + len(names)]))} s"


def _negative_lifetime(capture: Path, _values: Values) -> str:
    ttl, minimum = tshark.fields(capture, "dns.flags.rcode == 3", "dns.resp.ttl", "dns.soa.minimum_ttl")[0]
    return f"{min(int(ttl.split('|')[0]), int(minimum))} s"


DNS_RECORDS: Expected = {
    "q1": _exchanges_of_mail,
    "q2": lambda capture, values: str(max(map(int, _response(capture, MX, values["domain"], "dns.mx.preference")[0]))),
    "q3": lambda capture, values: _response(capture, A, values["alias"], "dns.cname")[0][-1] + ".",
    "q4": lambda capture, values: str(len(_response(capture, A, values["alias"], "dns.cname")[0])),
    "q5": _chain_lifetime,
    "q6": lambda capture, values: str(len(_response(capture, A, values["pool"], "dns.a")[0])),
    "q7": lambda capture, _: tshark.fields(capture, f"dns.qry.type == {PTR} && {QUERY}", "dns.qry.name")[0][0] + ".",
    "q8": lambda capture, _: tshark.fields(capture, "dns.ptr.domain_name", "dns.ptr.domain_name")[0][0] + ".",
    "q9": lambda capture, _: tshark.fields(capture, "dns.flags.rcode == 3", "dns.qry.name")[0][0] + ".",
    "q10": lambda capture, _: str(
        tshark.frames(capture, f"{RESPONSE} && dns.flags.rcode == 0 && dns.count.answers == 0")[0]
    ),
    "q11": _negative_lifetime,
    "q12": lambda capture, _: f"{tshark.fields(capture, 'dns.flags.rcode == 3', 'dns.resp.ttl')[1][0].split('|')[0]} s",
}

EXPECTED = {"dns-resolution": DNS_RESOLUTION, "dns-records": DNS_RECORDS}
