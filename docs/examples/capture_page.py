"""Capture of a page load at the client: requests and responses, parsed from the packets.

    python -P -m lab7.topologies.emulation.sandbox python docs/examples/capture_page.py

Each line has the time since the SYN, at the first octet of a request and at the last one of a response.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from lab7.experiments.harness import CaptureFile, Testbed, capture_at, first_interface, read_capture
from lab7.experiments.http.clients import OurClient
from lab7.experiments.http.wire.page_load import page_load
from lab7.topologies.web import WebTopo

URL = "http://www.example.com/"
STRATEGY = "1.1-persistent"


def capture_load(path: Path) -> CaptureFile:
    """Load the page once while the client's interface is captured; return the capture."""
    with Testbed(WebTopo(bw=10, delay="10ms")) as bed:
        client = OurClient(bed.host("client"))
        with capture_at(bed, path, ["client"]):
            client.load(STRATEGY, URL)
    return read_capture(path)


def main() -> None:
    """Print each exchange with its time since the SYN and the frames of the response."""
    with TemporaryDirectory() as folder:
        load = page_load(capture_load(Path(folder) / "page.pcapng"), first_interface("client"))
    for conversation in load.conversations:
        start_ns = conversation.connection.syn.time_ns
        print(f"{conversation.connection.client} > {conversation.connection.server}")
        for exchange in conversation.exchanges:
            request, response = exchange.request, exchange.response
            print(f"{(request.first_ns - start_ns) / 1e6:8.2f} ms  > {b' '.join(request.start_line).decode()}")
            if response is not None:
                frames = ", ".join(map(str, response.frames))
                text = f"{b' '.join(response.start_line).decode()}, {len(response.body)} octets, frames {frames}"
                print(f"{(response.last_ns - start_ns) / 1e6:8.2f} ms  < {text}")


if __name__ == "__main__":
    main()
