"""Questions of the assignment dns-resolution, on iterative resolution in DNS: parameters, traffic and answer keys.

variant() draws the random parameters of one student. record() produces the traffic that is captured for this student.
Each function q1, q2, ... computes the correct answer to one question (its key) from this capture.
"""

from __future__ import annotations

from typing import Any

from lab7.experiments.assignments.answer_types import Address, Frames, Listing, Number, Text, yes_no
from lab7.experiments.assignments.capture_view import CaptureView
from lab7.experiments.assignments.definition import Key, question
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.recording import Lab
from lab7.experiments.dns.wire.messages import DnsMessage
from lab7.experiments.dns.wire.traffic import DnsExchange
from lab7.experiments.harness.judge.frames import Endpoint
from lab7.topologies.dns import LOCAL, SERVERS

# Top-level domains, one of which each student's name is in, and the hosts that may serve it.
TOP_LEVEL = (
    "coffee", "garden", "museum", "travel", "cloud", "design", "energy", "films", "guide", "house", "islands", "jobs",
    "kitchen", "limited", "market", "network", "observer", "photo", "school", "theater", "vision", "works",
)  # fmt: skip
REGISTRIES = ("com", "org", "uk")
# Other names that the client looks up before the large RRset, whose resolutions take different numbers of queries.
OTHERS = (
    "www.example.com", "pool.example.com", "server3.example.com", "www.shop.org", "www.bookshop.uk", "ns.provider.org",
)  # fmt: skip
# Number of padding characters in each string of the large TXT RRset, which exceeds a UDP response.
FILLING = 150


def variant(draw: Draw) -> dict[str, Any]:
    """Draw a student's parameters: zones and their servers, names, addresses, TTL, delays, pause, and other lookups."""
    top_level, registry = draw.choice("top level", TOP_LEVEL), draw.choice("registry", REGISTRIES)
    domain, host = f"{draw.word('domain')}.{top_level}", draw.choice("server", ["example", "provider"])
    # A name server in the zone itself needs glue; one in another zone has none in this referral.
    server = draw.choice("name server", [f"ns.{domain}.", SERVERS[host][1]])
    others = draw.sample("others", OTHERS, draw.number("count of others", 1, 4))
    name, big = f"{draw.word('name')}.{domain}", f"{draw.word('big', 4)}.{domain}"
    address = f"10.53.{draw.number('network', 20, 250)}.{draw.number('host', 1, 250)}"
    ttl_s, strings = draw.number("ttl", 60, 900), draw.number("strings", 10, 16)
    text = " ".join(f'"{place:02d} {draw.nonce} {"x" * FILLING}"' for place in range(strings))
    return {
        "name": name,
        "big": big,
        "others": others,
        "pause": draw.number("pause", 5, 50),
        "parameters": {
            "scale": draw.number("scale", 40, 180) / 100,
            "servers": " ".join(f"{host}={address}" for host, address in _addresses(draw).items()),
            "zones": f"{top_level}. {registry} ns.{top_level}.\n{domain}. {host} {server}\n",
            "records": f"{name}. {ttl_s} A {address}\n{big}. {ttl_s} TXT {text}\n",
        },
    }


def _addresses(draw: Draw) -> dict[str, str]:
    """Draw the addresses of the name servers, keyed by host.

    The name servers of top-level domains are in one network; each other name server is in a network of its own.
    """
    top = draw.sample("addresses of top-level domains", range(2, 251), 4)
    networks = (("root", 0), ("example", 2), ("provider", 3))
    own = {host: f"10.53.{network}.{draw.number(host, 2, 250)}" for host, network in networks}
    return {**own, **{host: f"10.53.1.{last}" for host, last in zip(("com", "org", "uk", "arpa"), top, strict=True)}}


def record(lab: Lab) -> None:
    """Produce the traffic: one query sent twice with a pause, other lookups, and a TXT RRset too large for UDP."""
    name, big = lab.variant["name"], lab.variant["big"]
    lab.run_module("client", "lab7.services.dns.stub", name, "A")
    lab.run("client", ["sleep", str(lab.variant["pause"])])
    lab.run_module("client", "lab7.services.dns.stub", name, "A")
    for other in lab.variant["others"]:
        lab.run_module("client", "lab7.services.dns.stub", other, "A")
    lab.run_module("client", "lab7.services.dns.stub", big, "TXT")


def _asked(seen: CaptureView, host: str) -> list[DnsExchange]:
    """Return the DNS queries of the client to the local name server with their responses, captured at `host`."""
    return [one for one in seen.at(host).dns.exchanges if one.query.target == LOCAL]


def _resolution(seen: CaptureView) -> list[tuple[DnsMessage, DnsMessage]]:
    """Return (query, response) for each query that the local name server sends to resolve the client's first query."""
    first = _asked(seen, "local")[0]
    return [
        (one.query, one.response)
        for one in seen.dns.exchanges
        if one.query.source == LOCAL
        and one.response is not None
        and first.response is not None
        and one.query.frame < first.response.frame
    ]


def _wait_s(exchange: DnsExchange) -> float:
    assert exchange.duration_s is not None
    return exchange.duration_s


def _pair(exchange: DnsExchange) -> tuple[int, int]:
    assert exchange.response is not None
    return exchange.query.frame, exchange.response.frame


def _messages(seen: CaptureView) -> list[DnsMessage]:
    """Return the DNS messages at the local name server's interface, in the order of their frames."""
    both = [message for one in seen.dns.exchanges for message in (one.query, one.response) if message is not None]
    return sorted(both, key=lambda message: message.frame)


@question(
    points=2,
    filter='frame.interface_name == "local" && ip.src == 10.53.9.53 && dns.flags.response == 0',
    hint="Look at the destination of each query of the local server.",
)
def q1(seen: CaptureView) -> Key:
    """Return the answer key: the addresses of the servers in the local name server's first resolution, in order."""
    queries = [query for query, _ in _resolution(seen)]
    text = "; ".join(f"frame {one.frame}: {one.question} to {one.target}" for one in queries)
    explanation = f"Iterative resolution from the root (RFC 1034 section 5.3.3): {text}."
    return Key(
        Listing(tuple(Address(one.target) for one in queries), ordered=True),
        tuple(one.frame for one in queries),
        explanation,
    )


@question(points=1, filter="dns.count.answers == 0 && dns.count.auth_rr > 0", hint="A referral has no answer section.")
def q2(seen: CaptureView) -> Key:
    """Return the answer key: the zone to which the first referral delegates."""
    response = _resolution(seen)[0][1]
    zone = next(one.name for one in response.authority if one.type == "NS")
    explanation = f"Frame {response.frame} has NS records of {zone} in its authority section (RFC 1034 section 4.2.1)."
    return Key(Text(zone, name=True), (response.frame,), explanation)


@question(points=1, filter="dns.count.answers == 0 && dns.a", hint="Open the additional records.")
def q3(seen: CaptureView) -> Key:
    """Return the answer key: the address in the glue record of the first referral."""
    response = _resolution(seen)[0][1]
    glue = next(one for one in response.additional if one.type == "A")
    explanation = f"Frame {response.frame} has the glue `{glue.name} A {glue.rdata}` (RFC 9471 section 2)."
    return Key(Address(glue.rdata), (response.frame,), explanation)


@question(points=1, filter="dns.count.answers == 0 && dns.count.auth_rr > 0", hint="Look for a record of type A.")
def q4(seen: CaptureView) -> Key:
    """Return the answer key: yes if the second referral has a glue record, otherwise no."""
    response = _resolution(seen)[1][1]
    server = next(one.rdata for one in response.authority if one.type == "NS")
    glue = any(one.type == "A" for one in response.additional)
    zone = response.authority[0].name
    explanation = (
        f"Frame {response.frame} refers to {server} for {zone} "
        + ("and has its address." if glue else "without its address, which must be resolved first.")
        + " Glue is for servers at or below the delegating zone (RFC 1034 section 4.2.1)."
    )
    return Key(yes_no(glue), (response.frame,), explanation)


@question(
    points=1,
    filter='frame.interface_name == "local" && udp && dns.flags.recdesired == 1 && dns.flags.response == 0',
    hint="Queries of the client differ from those of the local server.",
)
def q5(seen: CaptureView) -> Key:
    """Return the answer key: the frame numbers of UDP queries with the flag RD at the local name server."""
    frames = tuple(one.frame for one in _messages(seen) if one.rd and not one.is_response and one.transport == "udp")
    explanation = f"RD is set in the queries of the client alone (RFC 1035 section 4.1.1): {_list(frames)}."
    return Key(Frames(frames), frames, explanation)


@question(
    points=1,
    filter='frame.interface_name == "local" && dns.flags.authoritative == 1',
    hint="Neither a referral nor an answer from a cache is authoritative.",
)
def q6(seen: CaptureView) -> Key:
    """Return the answer key: the frame numbers of responses with the flag AA at the local name server."""
    messages = [one for one in _messages(seen) if one.aa]
    frames = tuple(one.frame for one in messages)
    in_segments = tuple(one.frame for one in messages if one.transport == "tcp")
    explanation = f"AA is set by servers that are authoritative for the name (RFC 1035 section 4.1.1): {_list(frames)}."
    if in_segments:
        explanation += f" A response over TCP in several segments is decoded in the last of them: {_list(in_segments)}."
    # Who reads a message in all of its segments may give their range.
    return Key(Frames(frames, beside=_segments(seen, messages)), frames, explanation)


def _segments(seen: CaptureView, messages: list[DnsMessage]) -> tuple[int, ...]:
    """Return the numbers of the frames that carry the TCP segments of DNS messages at the local name server."""
    ways = {
        (Endpoint(one.source, one.source_port), Endpoint(one.target, one.target_port))
        for one in messages
        if one.transport == "tcp"
    }
    segments = [(frame.number, frame.tcp) for frame in seen.frames]
    return tuple(number for number, tcp in segments if tcp and tcp.payload and (tcp.source, tcp.target) in ways)


def _list(frames: tuple[int, ...]) -> str:
    return ("frames " if len(frames) > 1 else "frame ") + ", ".join(map(str, frames))


@question(
    points=2,
    filter='frame.interface_name == "local" && dns && !(ip.addr == 10.53.9.1)',
    hint="Wireshark shows [Time] in a response.",
)
def q7(seen: CaptureView) -> Key:
    """Return the answer key: the longest time from query to response in the local name server's first resolution."""
    query, response = max(_resolution(seen), key=lambda pair: pair[1].time_ns - pair[0].time_ns)
    time_s = (response.time_ns - query.time_ns) / 1e9
    explanation = f"{query.target}: from frame {query.frame} to frame {response.frame}, {time_s * 1e3:.3f} ms."
    return Key(Number(time_s, "time", "ms", tolerance=0.02), (query.frame, response.frame), explanation)


@question(points=1, filter='frame.interface_name == "client" && dns', hint="Subtract the times of two frames.")
def q8(seen: CaptureView) -> Key:
    """Return the answer key: the time from the client's first query to its response."""
    first = _asked(seen, "client")[0]
    frames = _pair(first)
    explanation = f"From frame {frames[0]} to frame {frames[1]}: {_wait_s(first) * 1e3:.3f} ms."
    return Key(Number(_wait_s(first), "time", "ms", tolerance=0.02), frames, explanation)


@question(points=2, filter='frame.interface_name == "client" && dns', hint="The local server has a cache.")
def q9(seen: CaptureView) -> Key:
    """Return the answer key: the response time of the client's first query minus that of its second query."""
    first, second = _asked(seen, "client")[:2]
    saved_s = _wait_s(first) - _wait_s(second)
    explanation = (
        f"The second wait, from frame {_pair(second)[0]} to frame {_pair(second)[1]}, is {_wait_s(second) * 1e3:.3f} "
        f"ms: the local server answers from its cache (RFC 1034 section 5.3.3), {saved_s * 1e3:.3f} ms sooner."
    )
    return Key(Number(saved_s, "time", "ms", tolerance=0.02), (*_pair(first), *_pair(second)), explanation)


@question(points=1, filter="dns.count.answers > 0", hint="The TTL of a cached record is smaller by its age.")
def q10(seen: CaptureView) -> Key:
    """Return the answer key: the TTL in the local name server's second response to the client."""
    first, second = (one.response for one in _asked(seen, "client")[:2])
    assert first is not None
    assert second is not None
    before, after = (next(one.ttl for one in each.answer if one.type == "A") for each in (first, second))
    explanation = f"{before} s in frame {first.frame}, {after} s in frame {second.frame} (RFC 1035 section 3.2.1)."
    return Key(Number(after, "time", "s"), (first.frame, second.frame), explanation)


@question(points=1, filter='frame.interface_name == "local" && dns.flags.truncated == 1', hint="TC is a flag of DNS.")
def q11(seen: CaptureView) -> Key:
    """Return the answer key: the frame number of the truncated response (TC) that the local name server receives."""
    frame = next(one.frame for one in _messages(seen) if one.tc and one.target == LOCAL)
    return Key(Frames((frame,)), (frame,), f"Frame {frame} has TC, since the RRset is too large (RFC 2181 section 9).")


@question(points=1, filter="dns && tcp.srcport == 53", hint="By TCP, two octets with the length precede the message.")
def q12(seen: CaptureView) -> Key:
    """Return the answer key: the size of the authoritative response over TCP."""
    response = next(one for one in _messages(seen) if one.transport == "tcp" and one.is_response)
    explanation = (
        f"Frame {response.frame} ends the message; the length before it is {response.size_bytes} (RFC 7766 section 8)."
    )
    return Key(Number(response.size_bytes, "size", "bytes"), (response.frame,), explanation)
