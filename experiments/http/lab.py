"""Set-up of the HTTP experiments: emulated network, test pages, captured page loads and their durations.

For comparison with the closed-form page load times of `theory`, this module also computes the times that these formulas
leave out, such as waits for TCP's congestion window.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from mininet.topo import Topo

from lab7.experiments.harness.experiment import Run
from lab7.experiments.harness.fidelity.certificate import EmulatedPath, MachineWatch
from lab7.experiments.harness.implementations.registry import DEFAULT_PORT, server_starter
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.measurement import Window, first_interface, make_testbed
from lab7.experiments.harness.pathmodel.replay import Sample, terms_of
from lab7.experiments.harness.results.result import Timing
from lab7.experiments.harness.template_engine import render
from lab7.experiments.harness.theory.tcp import transmission_time_s
from lab7.experiments.http.claims.delivery import undelivered
from lab7.experiments.http.wire.http1 import Conversation, Exchange
from lab7.experiments.http.wire.page_load import Files, PageLoad, decompose, page_load
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.web import WebTopo

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIDE_PIXELS = 16
# Fixed modification time of all files of the site, so that Last-Modified is the same in every run.
MODIFIED = 1_700_000_000


def make_site(folder: Path, objects: int, size_bytes: int, seed: int) -> list[Path]:
    """Write a web page with `objects` - 1 pictures into a folder; return the paths of all files, the page first.

    Each file has `size_bytes` octets; the page has more if its references need them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(seed)
    names = [f"picture-{number}.png" for number in range(1, objects)]
    page = render("page.html.j2", pictures=names).encode()
    contents = {"index.html": page + b" " * (size_bytes - len(page))}
    contents |= {name: _picture(size_bytes, random) for name in names}
    paths = []
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(content)
        os.utime(path, (MODIFIED, MODIFIED))
        paths.append(path)
    return paths


def site_files(paths: Sequence[Path], place: str = "/") -> dict[bytes, bytes]:
    """Return the files that make_site() wrote: URL path below `place` -> content, the page first."""
    named = {f"{place}{path.name}".encode(): path.read_bytes() for path in paths[1:]}
    return {place.encode(): paths[0].read_bytes(), **named}


def write_picture(path: Path, size_bytes: int, seed: int) -> None:
    """Write a PNG picture of exactly `size_bytes` octets."""
    path.write_bytes(_picture(size_bytes, Random(f"{seed} {path.name}")))
    os.utime(path, (MODIFIED, MODIFIED))


def _chunk(kind: bytes, data: bytes) -> bytes:
    # A PNG chunk consists of length, type, data, and a CRC over type and data (ISO/IEC 15948 section 5.3).
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _picture(size_bytes: int, random: Random) -> bytes:
    """Return a one-colour PNG of exactly `size_bytes` octets, padded by an ancillary chunk that viewers skip."""
    colour = bytes(random.randrange(256) for _ in range(3))
    rows = (b"\x00" + colour * SIDE_PIXELS) * SIDE_PIXELS
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE_PIXELS, SIDE_PIXELS, 8, 2, 0, 0, 0))
    ends = (header, _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    filling = size_bytes - len(PNG_SIGNATURE) - sum(map(len, ends)) - len(_chunk(b"fiLl", b""))
    fill = _chunk(b"fiLl", random.randbytes(max(0, filling)))
    return PNG_SIGNATURE + ends[0] + fill + ends[1] + ends[2]


NAME = "www.example.com"
ORIGIN_ADDRESS = "10.7.1.1"
HOSTS = ("client", "origin")
AT_CLIENT, AT_PROXY, AT_ORIGIN = map(first_interface, ("client", "proxy", "origin"))


def web_testbed(
    context: Run, folder: Path, rtt_s: float, bw_mbit: float, objects: Sequence[str] = (), **topology_parameters: Any
) -> Testbed:
    """Return the emulated web network; other programs may replace lab7's origin and proxy (`--replace`).

    The origin serves `folder`. `objects` are the paths that the page references; `topology_parameters` are further
    parameters of the topology.
    """
    topo = WebTopo(bw=bw_mbit, delay=f"{rtt_s / 2 * 1e6:.0f}us", root=str(folder), **topology_parameters)
    origin, proxy = context.replacements.get("origin"), context.replacements.get("proxy")
    starters = {}
    if origin is not None:
        serves = {"root": str(folder), "objects": list(objects)}
        starters["origin"] = server_starter(origin, lambda _host: serves)
    if proxy is not None and "proxy" in topo.hosts():
        stands = {"mode": topology_parameters["cache"], "origin": f"http://{ORIGIN_ADDRESS}:{DEFAULT_PORT}"}
        starters["proxy"] = server_starter(proxy, lambda _host: stands)
    return make_testbed(context, topo, starters)


def access_path(rtt_s: float, bw_mbit: float) -> EmulatedPath:
    """Return the network path to be measured before a run and compared with the configured delay and rate."""
    return EmulatedPath("client", "origin", ORIGIN_ADDRESS, rtt_s, bw_mbit * 1e6)


def base_url(context: Run, strategy: str) -> str:
    """Return the origin's URL, without path, for a strategy (HTTP version and use of connections).

    A third-party origin may have one port for each protocol.
    """
    origin = context.replacements.get("origin")
    port = origin.port(strategy) if origin else DEFAULT_PORT
    return f"http://{NAME}" + ("" if port == DEFAULT_PORT else f":{port}")


def origin_name(context: Run) -> str:
    """Return name and version of the origin server in use, for the report."""
    origin = context.replacements.get("origin")
    return origin.describe() if origin else "lab7.services.http.origin"


def proxy_mode(context: Run) -> str:
    """Return the proxy's mode: the first one that a third-party proxy supports; forward for lab7's own."""
    proxy = context.replacements.get("proxy")
    return proxy.modes[0] if proxy and proxy.modes else "forward"


def proxy_name(context: Run) -> str:
    """Return name and version of the proxy in use, for the report."""
    proxy = context.replacements.get("proxy")
    return proxy.describe() if proxy else "lab7.services.http.proxy"


def loads_in(
    context: Run,
    captured: CaptureFile,
    interface: str,
    windows: Mapping[str, Sequence[Window]],
    files: Mapping[str, Files],
) -> dict[str, list[PageLoad]]:
    """Return name -> captured page loads, for the time windows with this name.

    `files` are the expected contents, by the same names.
    """
    origin = context.replacements.get("origin")
    every = page_load(captured, interface, {DEFAULT_PORT, *(origin.ports.values() if origin else ())})
    return {
        name: [every.between(one.start_ns, one.end_ns, files[name]) for one in some] for name, some in windows.items()
    }


def has_response(load: PageLoad) -> bool:
    """Return True if a page load has a captured response; otherwise it has no duration."""
    return any(one.response is not None for one in load.exchanges)


def delivered(loads: Iterable[PageLoad]) -> bool:
    """Return True if all page loads delivered all files of their page; only their durations are comparable."""
    return all(undelivered(load, load.files or {}) is None for load in loads)


def failure_seen(loads: Sequence[PageLoad]) -> str:
    """Return a text on the first fault in the packets of failed page loads; empty if the packets show no fault."""
    found = (undelivered(load, load.files or {}) for load in loads if load.conversations)
    wrong = next((one for one in found if one is not None), None)
    return f"; in the packets, {wrong.evidence}" if wrong is not None else ""


def timing(load: PageLoad, watch: MachineWatch | None = None) -> Timing:
    """Return the duration of a captured page load, divided into terms (parts).

    With `watch`, the delay that other load on the machine added is included as a separate value.
    """
    found = decompose(load)
    timed = Timing(found.total_s, found.terms)
    if watch is None:
        return timed
    span = sample_of(load, AT_CLIENT)
    return watch.with_disturbance(timed, span.first_ns, span.last_ns)


def left_out(
    captured: CaptureFile,
    topo: Topo,
    loads: Mapping[str, Sequence[PageLoad]],
    rate_bps: float,
    at: str = AT_CLIENT,
    waiting: Collection[str] = (),
) -> dict[str, dict[str, float]]:
    """Return the delays in s that the closed form of a page load omits: case -> term -> median over the page loads.

    A case is, for example, a strategy of page loads. `window`, `acknowledgements`, `server_waits` and `waiting` are
    computed by pathmodel.replay. `framing` is due to octets that are neither requests nor responses, and to segments
    that are shorter than possible. A case has no terms if TCP lost a segment.
    """
    samples = {name: [sample_of(load, at) for load in some] for name, some in loads.items()}
    return {
        name: terms and {**terms, "framing": framing_s(loads[name][0], rate_bps)}
        for name, terms in terms_of(captured, topo, samples, waiting).items()
    }


def sample_of(load: PageLoad, at: str) -> Sample:
    """Return start and end of a page load (first SYN, end of the last response) as input of the TCP path model."""
    responses = [one.response.last_ns for one in load.exchanges if one.response is not None]
    return Sample(at, min(one.connection.syn.time_ns for one in load.conversations), max(responses))


def framing_s(load: PageLoad, rate_bps: float) -> float:
    """Return the transmission time in s of those octets of a page load that its closed form does not include.

    In the closed form, requests that the client sends together count as one request, of the largest size, and each
    response has as few segments as possible. Not included are the HTTP/2 preface and settings, the further requests of
    each such group, and the packet headers of additional segments.
    """
    size = request_size(load)
    return sum(_framing_s(conversation, rate_bps, size) for conversation in load.conversations)


def _framing_s(conversation: Conversation, rate_bps: float, request_size_bytes: int) -> float:
    answered = [(one.request, one.response) for one in conversation.exchanges if one.response is not None]
    if not answered:
        return 0.0
    connection, extra_s = conversation.connection, 0.0
    last_ns = max(response.last_ns for _, response in answered)
    # Requests that the client sends without waiting for further responses form one round of requests.
    answered_ns = connection.syn.time_ns
    for request, response in sorted(answered, key=lambda each: each[0].first_ns):
        if request.first_ns >= answered_ns:
            since = [each for each in connection.from_client.segments if answered_ns <= each.time_ns <= request.last_ns]
            extra_s += sum(transmission_time_s(len(each.payload), rate_bps) for each in since)
            extra_s -= transmission_time_s(request_size_bytes, rate_bps)
        answered_ns = max(answered_ns, response.last_ns)
    serving = [each for each in connection.from_server.segments if each.time_ns <= last_ns]
    extra_s += sum(transmission_time_s(len(each.payload), rate_bps) for each in serving)
    return extra_s - sum(transmission_time_s(len(response.octets), rate_bps) for _, response in answered)


def turns_framing_s(exchanges: Sequence[Exchange], rate_bps: float) -> float:
    """Return the transmission time in s of those octets of consecutive requests and responses that a closed form omits.

    The closed form includes a request of the largest size for each response, and the response in as few segments as
    possible.
    """
    answered = [(one.request, one.response) for one in exchanges if one.response is not None]
    largest = max((len(request.octets) for request, _ in answered), default=0)
    counted_s = sum(
        transmission_time_s(largest, rate_bps) + transmission_time_s(len(response.octets), rate_bps)
        for _, response in answered
    )
    pieces = [piece for pair in answered for message in pair for piece in message.pieces]
    return sum(transmission_time_s(piece.end - piece.start, rate_bps) for piece in pieces) - counted_s


def response_sizes(load: PageLoad) -> list[int]:
    """Return the size of each response of a page load in octets, header section included."""
    return [len(one.response.octets) for one in load.exchanges if one.response is not None]


def request_size(load: PageLoad) -> int:
    """Return the size in octets of the largest request of a page load."""
    return max(len(one.request.octets) for one in load.exchanges)
