"""Answers by tshark to the questions of the assignment cdn-redirection."""

from __future__ import annotations

from pathlib import Path

from tests.kernel.assignments import tshark
from tests.kernel.assignments.tshark import Expected, Values, at

REPLICAS = {"eu": "10.8.1.10", "ap": "10.8.2.10", "us": "10.8.3.10"}


def _user(values: Values, place: str) -> str:
    return at(f"{values[place]}-user")


def _responses(capture: Path, values: Values, place: str, field: str) -> list[list[str]]:
    """Return a field of the DNS responses to a user, each split into its values."""
    rows = tshark.fields(capture, f"{_user(values, place)} && dns.flags.response == 1", field)
    return [value.split("|") for (value,) in rows]


def _requests(capture: Path, values: Values, where: str) -> list[int]:
    return tshark.frames(capture, f'{where} && http.request.uri == "/{values["page"]}"')


def _query_time(capture: Path, values: Values) -> str:
    first = tshark.times_ns(capture, f"{_user(values, 'first')} && dns")
    return tshark.ms(first[1] - first[0])


def _miss_time(capture: Path, values: Values) -> str:
    user = _user(values, "first")
    request = _requests(capture, values, user)[0]
    times = tshark.times_ns(capture, f"{user} && tcp.len > 0 && frame.number >= {request}")
    return tshark.ms(times[1] - times[0])


def _replica_rtt(capture: Path, values: Values) -> str:
    replica = REPLICAS[values["third"]]
    syn_ack = f"tcp.flags.syn == 1 && tcp.flags.ack == 1 && ip.dst == {replica}"
    ack = f"tcp.flags.syn == 0 && tcp.flags.ack == 1 && ip.src == {replica}"
    times = [tshark.times_ns(capture, f"{at('origin')} && {which}")[0] for which in (syn_ack, ack)]
    return tshark.ms(times[1] - times[0])


def _second_status(capture: Path, values: Values) -> str:
    shown = f'{_user(values, "again")} && http.response_for.uri contains "/{values["page"]}"'
    lines = tshark.lines(capture, shown)[1]
    return next(line.partition(": ")[2] for line in lines if line.startswith("Cache-Status:"))


CDN_REDIRECTION: Expected = {
    "q1": lambda capture, values: f"{_responses(capture, values, 'first', 'dns.cname')[0][0]}.",
    "q2": lambda capture, values: _responses(capture, values, "first", "dns.a")[0][0],
    "q3": lambda capture, values: _responses(capture, values, "second", "dns.a")[0][0],
    # The alias comes first in the answer section, the address behind it.
    "q4": lambda capture, values: f"{_responses(capture, values, 'first', 'dns.resp.ttl')[0][1]} s",
    "q5": _query_time,
    "q6": lambda capture, values: str(len(_requests(capture, values, 'frame.interface_name contains "user"'))),
    "q7": lambda capture, values: str(len(_requests(capture, values, at("origin")))),
    "q8": lambda capture, values: ", ".join(map(str, _requests(capture, values, at("origin")))),
    "q9": _miss_time,
    "q10": _replica_rtt,
    "q11": lambda capture, values: f"{_responses(capture, values, 'again', 'dns.resp.ttl')[1][1]} s",
    "q12": _second_status,
}

EXPECTED = {"cdn-redirection": CDN_REDIRECTION}
