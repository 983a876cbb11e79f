"""Questions of the assignment cdn-redirection, on request routing of a CDN by DNS: parameters, traffic and answer keys.

variant() draws the random parameters of one student. record() produces the traffic that is captured for this student.
Each function q1, q2, ... computes the correct answer to one question (its key) from this capture.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab7.experiments.assignments.answer_types import Address, Frames, Number, Text
from lab7.experiments.assignments.capture_view import CaptureView, ends, span
from lab7.experiments.assignments.definition import Key, question
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.recording import Lab
from lab7.experiments.dns.wire.messages import DnsMessage, DnsRecord
from lab7.experiments.dns.wire.traffic import DnsExchange
from lab7.experiments.http.lab import MODIFIED
from lab7.experiments.http.wire.http1 import Exchange, Message
from lab7.topologies.cdn import REGIONS, host_name, replica_address

ORIGIN_HOST = "origin"


def variant(draw: Draw) -> dict[str, Any]:
    """Draw a student's parameters: order of regions, objects, TTL, delays, sizes, pause before the last page loads."""
    regions = draw.shuffled("regions", sorted(REGIONS))
    page = f"{draw.word('page')}.html"
    objects = {
        region: [f"{draw.word(f'{region}-{number}')}.txt" for number in range(draw.number(f"{region}-objects", 0, 3))]
        for region in regions
    }
    ttl_s = draw.number("ttl", 15, 90)
    return {
        "page": page,
        "first": regions[0],
        "second": regions[1],
        "third": regions[2],
        "again": draw.choice("again", regions),
        "objects": objects,
        "size": draw.number("size", 500, 6_000),
        "pause": draw.number("pause", 3, ttl_s - 5),
        "repetitions": draw.number("repetitions", 1, 4),
        "parameters": {
            "ttl": ttl_s,
            "scale": draw.number("scale", 40, 180) / 100,
            "max_age": draw.number("max-age", 300, 5_000),
        },
    }


def prepare(folder: Path, variant: Mapping[str, Any]) -> None:
    """Write the files that the origin serves."""
    start = f"<!doctype html>\n<title>{variant['page']}</title>\n"
    (folder / variant["page"]).write_text(start.ljust(variant["size"], "."))
    for name in (name for names in variant["objects"].values() for name in names):
        (folder / name).write_text(f"{name}\n" * 9)
    for path in folder.iterdir():
        os.utime(path, (MODIFIED, MODIFIED))


def record(lab: Lab) -> None:
    """Produce the traffic: load the page and further objects in each region; later load the page again in one."""
    values = lab.variant
    for region in (values["first"], values["second"], values["third"]):
        _load(lab, region, [values["page"], *values["objects"][region]])
    lab.run(host_name("user", values["again"]), ["sleep", str(values["pause"])])
    for _ in range(values["repetitions"]):
        _load(lab, values["again"], [values["page"]])


def _load(lab: Lab, region: str, names: list[str]) -> None:
    urls = [f"http://www.example.com/{name}" for name in names]
    outputs = [word for _ in urls for word in ("--output", "/dev/null")]
    field = ["-H", f"X-Course: {lab.variant['nonce']}"]
    lab.run(host_name("user", region), ["curl", "--silent", "--show-error", "--ipv4", *field, *outputs, *urls])


def _user(seen: CaptureView, region: str) -> CaptureView:
    return seen.at(host_name("user", region))


def _resolved(seen: CaptureView, region: str, place: int = 0) -> tuple[DnsExchange, DnsMessage]:
    """Return (DNS query with its response, the response alone) captured at the user of a region.

    `place`: index of the query among the user's DNS queries, from 0.
    """
    exchange = _user(seen, region).dns.exchanges[place]
    assert exchange.response is not None
    return exchange, exchange.response


def _address(response: DnsMessage) -> DnsRecord:
    return next(one for one in response.answer if one.type == "A")


def _page(seen: CaptureView, host: str) -> list[Exchange]:
    """Return the HTTP exchanges for the page, captured at the interface of a host."""
    return [one for one in seen.at(host).http if one.target == f"/{seen.variant['page']}".encode()]


def _page_response(seen: CaptureView, region: str, place: int) -> tuple[Message, Message]:
    """Return (request, response) for the page, captured at the user of a region.

    `place`: index among the user's requests for the page, from 0.
    """
    exchange = _page(seen, host_name("user", region))[place]
    assert exchange.response is not None
    return exchange.request, exchange.response


@question(points=1, filter="dns.cname", hint="The record type of an alias is CNAME.")
def q1(seen: CaptureView) -> Key:
    """Return the answer key: the target of the CNAME record in the first region's DNS response."""
    _, response = _resolved(seen, seen.variant["first"])
    alias = next(one for one in response.answer if one.type == "CNAME")
    explanation = f"Frame {response.frame}: {alias.name} CNAME {alias.rdata} (RFC 1034 section 3.6.2)."
    return Key(Text(alias.rdata, name=True), (response.frame,), explanation)


def _address_key(seen: CaptureView, region: str) -> Key:
    _, response = _resolved(seen, region)
    address = _address(response).rdata
    explanation = f"Frame {response.frame} has {address}: the CDN's name server answers by the region of the query."
    return Key(Address(address), (response.frame,), explanation)


@question(points=1, filter="dns.a", hint="The answer section has the alias and its address.")
def q2(seen: CaptureView) -> Key:
    """Return the answer key: the replica's IP address in the first region's DNS response."""
    return _address_key(seen, seen.variant["first"])


@question(points=1, filter="dns.a", hint="The answer section has the alias and its address.")
def q3(seen: CaptureView) -> Key:
    """Return the answer key: the replica's IP address in the second region's DNS response."""
    return _address_key(seen, seen.variant["second"])


@question(points=1, filter="dns.a", hint="Each record has its own time to live.")
def q4(seen: CaptureView) -> Key:
    """Return the answer key: the TTL of the A record in the first region's DNS response."""
    _, response = _resolved(seen, seen.variant["first"])
    ttl_s = _address(response).ttl
    explanation = f"Frame {response.frame}: the A record's TTL is {ttl_s} s (RFC 1035 section 3.2.1)."
    return Key(Number(ttl_s, "time", "s"), (response.frame,), explanation)


@question(points=1, filter="dns", hint="Subtract the times of query and response at the user's interface.")
def q5(seen: CaptureView) -> Key:
    """Return the answer key: the time from the first region's first DNS query to its response, captured at the user."""
    exchange, response = _resolved(seen, seen.variant["first"])
    time_s = (response.time_ns - exchange.query.time_ns) / 1e9
    frames = (exchange.query.frame, response.frame)
    explanation = f"From frame {frames[0]} to frame {frames[1]}: {time_s * 1e3:.3f} ms."
    return Key(Number(time_s, "time", "ms", tolerance=0.02), frames, explanation)


@question(points=1, filter='http.request && frame.interface_name contains "user"', hint="Look at three interfaces.")
def q6(seen: CaptureView) -> Key:
    """Return the answer key: the number of requests for the page by the users of all regions."""
    hosts = [host_name("user", region) for region in REGIONS]
    frames = tuple(sorted(one.request.frames[0] for host in hosts for one in _page(seen, host)))
    return Key(Number(len(frames)), frames, f"They begin in the frames {', '.join(map(str, frames))}.")


@question(points=1, filter='http.request && frame.interface_name == "origin"', hint="A replica sends misses on.")
def q7(seen: CaptureView) -> Key:
    """Return the answer key: the number of requests for the page captured at the origin."""
    frames = _at_origin(seen)
    explanation = f"Frames {', '.join(map(str, frames))}: each replica fetches it once, and stores it."
    return Key(Number(len(frames)), frames, explanation)


@question(points=1, filter='http.request && frame.interface_name == "origin"', hint="Look at the request lines.")
def q8(seen: CaptureView) -> Key:
    """Return the answer key: the frame numbers of the requests for the page captured at the origin."""
    frames = _at_origin(seen)
    return Key(Frames(frames), frames, f"They begin in the frames {', '.join(map(str, frames))} (RFC 9111 section 4).")


def _at_origin(seen: CaptureView) -> tuple[int, ...]:
    return tuple(one.request.frames[0] for one in _page(seen, ORIGIN_HOST))


@question(
    points=2, filter="tcp.len > 0 && tcp.port == 80", hint="The replica must fetch the object before it can respond."
)
def q9(seen: CaptureView) -> Key:
    """Return the answer key: the time from the first region's first request for the page to its response."""
    request, response = _page_response(seen, seen.variant["first"], 0)
    time_s = (response.first_ns - request.first_ns) / 1e9
    frames = (request.frames[0], response.frames[0])
    explanation = f"From frame {frames[0]} to frame {frames[1]}: {time_s * 1e3:.3f} ms, as the replica asks the origin."
    return Key(Number(time_s, "time", "ms", tolerance=0.02), frames, explanation)


@question(
    points=2,
    filter='frame.interface_name == "origin" && (tcp.flags.syn == 1 || (tcp.seq == 1 && tcp.ack == 1 && tcp.len == 0))',
    hint="The ACK ends the handshake.",
)
def q10(seen: CaptureView) -> Key:
    """Return the answer key: the RTT between the third region's replica and the origin, from SYN-ACK to ACK."""
    replica = replica_address(seen.variant["third"])
    connection = next(one for one in seen.at(ORIGIN_HOST).connections if one.client.address == replica)
    answer, ack = connection.from_server.syn, connection.from_client.first_ack
    assert answer is not None
    assert ack is not None
    rtt_s = (ack.time_ns - answer.time_ns) / 1e9
    explanation = f"SYN-ACK in frame {answer.frame}, ACK in frame {ack.frame}: {rtt_s * 1e3:.3f} ms later."
    return Key(Number(rtt_s, "time", "ms", tolerance=0.02), (answer.frame, ack.frame), explanation)


@question(points=1, filter="dns.a", hint="The name server of the region has cached the address.")
def q11(seen: CaptureView) -> Key:
    """Return the answer key: the TTL of the A record in the second DNS response to the user of two page loads."""
    _, first = _resolved(seen, seen.variant["again"])
    _, second = _resolved(seen, seen.variant["again"], 1)
    ttl_s = _address(second).ttl
    explanation = (
        f"{_address(first).ttl} s in frame {first.frame}, {ttl_s} s in frame {second.frame}: the record has aged."
    )
    return Key(Number(ttl_s, "time", "s"), (first.frame, second.frame), explanation)


@question(points=1, filter="http.response", hint="Open the header of the second response.")
def q12(seen: CaptureView) -> Key:
    """Return the answer key: Cache-Status (RFC 9211) in the second response with the page to one user."""
    _, response = _page_response(seen, seen.variant["again"], 1)
    value = response.values(b"cache-status")[0].decode()
    explanation = f"{span(response)}: `Cache-Status: {value}` (RFC 9211 section 2)."
    return Key(Text(value), ends(response), explanation)
