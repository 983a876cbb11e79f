"""Sample results for tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.results.result import Check, Comparison, Fidelity, Files, Result, Timing, write_timings
from lab7.experiments.http.theory import http_page_load
from tests.core.experiments.harness.wire import Wire

TIMINGS = (
    Timing(0.30, {"tcp_handshake": 0.1, "request": 0.19, "residual": 0.01}),
    Timing(0.32, {"tcp_handshake": 0.1, "request": 0.2, "residual": 0.02}),
    Timing(0.31, {"tcp_handshake": 0.1, "request": 0.2, "residual": 0.01}),
)


def sample_result(**changes: object) -> Result:
    comparison = Comparison.of("1.1-pipelined", TIMINGS, http_page_load("1.1-pipelined", 0.1, [1, 1, 1]), 0.1)
    result = Result(
        experiment="http_versions",
        question="How long does a page take?",
        parameters={"rtt_s": 0.1, "sizes_bytes": [1, 1, 1]},
        seed=7,
        started="2030-01-02T03:04:05Z",
        duration_s=4.5,
        implementations={"origin": "lab7.services.http.origin"},
        claims=(Verdict("H9", "shown", "Three requests back to back.", (5, 6, 7)),),
        comparisons=(comparison,),
        fidelity=Fidelity("valid", (Check("RTT client to origin", "100 ms", "100.4 ms", "valid"),)),
        files=Files(capture="capture.pcapng", timings="timings.csv", report="report.html"),
    )
    return dataclasses.replace(result, **changes)  # type: ignore[arg-type]


def sample_run(
    folder: Path, wire: Wire, timings: Mapping[str, Sequence[Timing]] | None = None, **changes: object
) -> Path:
    """The result folder of a run: result.json, timings.csv and the capture of `wire`."""
    folder.mkdir(parents=True)
    samples = {"1.1-pipelined": TIMINGS} if timings is None else timings
    compared = tuple(
        Comparison.of(name, some, http_page_load("1.1-pipelined", 0.1, [1, 1, 1]), 0.1)
        for name, some in samples.items()
    )
    sample_result(**{"comparisons": compared, **changes}).save(folder)
    write_timings(folder, samples)
    wire.capture(folder)
    return folder
