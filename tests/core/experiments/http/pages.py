"""Page loads of the four strategies as they look in a capture at the client, with an RTT of 40 ms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lab7.experiments.http.wire.page_load import Files, PageLoad, page_load
from tests.core.experiments.harness.wire import INTERFACE, Tcp, Wire, request, response

TARGETS = ("/", "/a", "/b")
RTT_MS = 40.0
BODY_MS = 3.0


def body_of(target: str) -> bytes:
    """The file at a path."""
    return target.encode() * 50


def files_of(targets: Sequence[str] = TARGETS) -> Files:
    """What the origin was given for a page of these objects."""
    return {target.encode(): body_of(target) for target in targets}


def load(wire: Wire, folder: Path, dropped: int = 0, files: Files | None = None) -> PageLoad:
    every = page_load(wire.capture(folder, dropped), INTERFACE, ports=(80, 8080))
    return replace(every, files=files_of() if files is None else files)


def serial(wire: Wire, targets: Sequence[str] = TARGETS, version: str = "1.0", server_port: int = 80) -> Wire:
    for number, target in enumerate(targets):
        tcp = Tcp(wire, port=40000 + number, server_port=server_port).open(RTT_MS)
        tcp.client("PA", request(target, version))
        wire.after(RTT_MS)
        answer(tcp, target)
        tcp.close()
    return wire


def parallel(wire: Wire, targets: Sequence[str] = TARGETS) -> Wire:
    serial(wire, targets[:1])
    named = [Tcp(wire, port=41000 + number) for number, _ in enumerate(targets[1:])]
    for step in ("syn", "synack", "answer", "fin"):
        for tcp, target in zip(named, targets[1:], strict=True):
            if step == "syn":
                tcp.client("S")
            elif step == "synack":
                tcp.server("SA").client("A").client("PA", request(target))
            elif step == "answer":
                answer(tcp, target)
            else:
                tcp.close()
        if step in ("syn", "synack"):
            wire.after(RTT_MS)
    return wire


def persistent(wire: Wire, targets: Sequence[str] = TARGETS, version: str = "1.1") -> Wire:
    tcp = Tcp(wire, port=43000).open(RTT_MS)
    for target in targets:
        tcp.client("PA", request(target, version))
        wire.after(RTT_MS)
        answer(tcp, target, version)
    tcp.close()
    return wire


def pipelined(wire: Wire, targets: Sequence[str] = TARGETS) -> Wire:
    tcp = Tcp(wire).open(RTT_MS)
    tcp.client("PA", request(targets[0], "1.1"))
    wire.after(RTT_MS)
    answer(tcp, targets[0], "1.1")
    tcp.client("PA", b"".join(request(target, "1.1") for target in targets[1:]))
    wire.after(RTT_MS)
    for target in targets[1:]:
        answer(tcp, target, "1.1")
    tcp.close()
    return wire


def answer(tcp: Tcp, target: str, version: str = "1.0") -> None:
    """Send a response in two segments, BODY_MS apart."""
    octets = response(body_of(target), version)
    tcp.server("A", octets[:60])
    tcp.wire.after(BODY_MS)
    tcp.server("PA", octets[60:])
    tcp.client("A")
