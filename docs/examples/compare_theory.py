"""One page load time beside its closed form, term by term, without an experiment.

    python -P -m lab7.topologies.emulation.sandbox python docs/examples/compare_theory.py

The time is taken from a capture at the client; theory gets the sizes of the messages from the same capture.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from lab7.experiments.harness import Testbed, capture_at, first_interface, read_capture
from lab7.experiments.http.clients import OurClient
from lab7.experiments.http.theory import http_page_load
from lab7.experiments.http.wire.page_load import decompose, page_load
from lab7.topologies.web import WebTopo

STRATEGY = "1.1-persistent"
DELAY_S, RATE_MBIT = 0.020, 10


def main() -> None:
    """Measure a load from the capture, compute its theory from the sizes of the messages, and print both."""
    with TemporaryDirectory() as folder, Testbed(WebTopo(bw=RATE_MBIT, delay=f"{DELAY_S * 1e3:.0f}ms")) as bed:
        client, path = OurClient(bed.host("client")), Path(folder) / "page.pcapng"
        # The first load of a process takes longer: it is not captured.
        client.load(STRATEGY, "http://www.example.com/")
        with capture_at(bed, path, ["client"]):
            client.load(STRATEGY, "http://www.example.com/")
        load = page_load(read_capture(path), first_interface("client"))
    sizes_bytes = [len(one.response.octets) for one in load.exchanges if one.response is not None]
    request_bytes = max(len(one.request.octets) for one in load.exchanges)
    theory = http_page_load(STRATEGY, 2 * DELAY_S, sizes_bytes, RATE_MBIT * 1e6, request_size_bytes=request_bytes)
    measured = decompose(load)
    print(f"{STRATEGY}: {theory.formula}, {len(sizes_bytes)} objects, {sum(sizes_bytes)} octets")
    print(f"{'term':14} {'measured':>12} {'theory':>12}")
    for term in measured.terms:
        print(f"{term:14} {measured.terms[term] * 1e3:9.2f} ms {theory.terms.get(term, 0.0) * 1e3:9.2f} ms")
    print(f"{'total':14} {measured.total_s * 1e3:9.2f} ms {theory.total_s * 1e3:9.2f} ms")


if __name__ == "__main__":
    main()
