"""Data for the network section of an experiment's report: topology diagram, plots of traffic, table of paths.

A path leads from one host to another; the packets of both were captured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab7.experiments.harness.report.page import INK, PlotUnavailable, draw_svg
from lab7.experiments.harness.results.result import Result
from lab7.experiments.ladder.named_capture import read_frames
from lab7.experiments.network.picture import describe_topology, render_topology
from lab7.experiments.network.traffic import Traffic, traffic_of

# Paths that a report draws, those with most octets first; the table has all.
PATHS_MAX = 4
THROUGHPUT, QUEUE, LOSS = "#0072B2", "#9A6700", "#B24A00"


@dataclass(frozen=True)
class PathRow:
    """Path between two hosts, as table row: name, octets received, peak throughput in bit/s, longest queue, losses.

    The throughput is the mean over one interval of the plot.
    """

    name: str
    octets: int
    busiest_bps: float
    rate_bps: float | None
    longest_queue: int | None
    lost: int


@dataclass(frozen=True)
class RunNetwork:
    """Network section of a run's report: topology as SVG and text, traffic plots as SVG or None, table of paths."""

    topology: str
    sentences: tuple[str, ...]
    plot: str | None
    interval_s: float
    rows: tuple[PathRow, ...]
    left_out: int = 0


def run_network(folder: Path, result: Result) -> RunNetwork | None:
    """Return the network section of a result's report; None if the result has no description of its network."""
    network = result.network
    if network is None or not network.hosts:
        return None
    traffic, labels = _traffic(folder, result)
    rows = tuple(
        PathRow(
            one.name,
            one.octets,
            max(one.throughput_bps, default=0.0),
            one.rate_bps,
            None if one.queue_packets is None else max(one.queue_packets, default=0),
            len(one.lost_s),
        )
        for one in traffic
    )
    drawn = [one for one in traffic if one.octets][:PATHS_MAX]
    return RunNetwork(
        render_topology(network, labels),
        tuple(describe_topology(network, labels)),
        _plot(drawn),
        traffic[0].start_s[1] if traffic else 0.0,
        rows,
        len([one for one in traffic if one.octets]) - len(drawn),
    )


def _traffic(folder: Path, result: Result) -> tuple[list[Traffic], Sequence[str]]:
    """Return a Traffic for each path between hosts in a result's capture, and the labels of the captured interfaces."""
    if result.files.capture is None or result.network is None:
        return [], ()
    captured = read_frames(folder / result.files.capture, result)
    if captured is None:
        return [], ()
    return traffic_of(captured, result.network), tuple(captured.counts)


def _plot(traffic: Sequence[Traffic]) -> str | None:
    """Return plots over time of each path's throughput, queue and losses as one <svg> element.

    Returns None if there is no path, or if matplotlib is not installed.
    """
    if not traffic:
        return None

    def paint(figure: Any) -> None:
        rows = figure.subplots(len(traffic), 1, sharex=True, squeeze=False)[:, 0]
        for axes, one in zip(rows, traffic, strict=True):
            _paint(axes, one)
        rows[-1].set_xlabel("seconds since the first frame", color=INK)

    try:
        return draw_svg((8.4, 0.7 + 1.7 * len(traffic)), paint)
    except PlotUnavailable:
        return None


def _paint(axes: Any, one: Traffic) -> None:
    axes.step(one.start_s, [value / 1e6 for value in one.throughput_bps], where="post", color=THROUGHPUT, linewidth=1.2)
    axes.set_title(one.name, loc="left", fontsize=10.5, color=INK)
    axes.set_ylabel("Mbit/s", color=THROUGHPUT)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    if one.lost_s:
        axes.scatter(one.lost_s, [0] * len(one.lost_s), marker="x", color=LOSS, s=32, zorder=4, clip_on=False)
    axes.grid(axis="x", color="#E3E6E9", linewidth=0.7)
    axes.tick_params(length=0, labelcolor=INK)
    if one.queue_packets is not None and max(one.queue_packets) > 0:
        right = axes.twinx()
        right.step(one.start_s, one.queue_packets, where="post", color=QUEUE, linewidth=1.2, linestyle=(0, (3, 1.5)))
        right.set_ylabel("packets queued", color=QUEUE)
        right.set_ylim(bottom=0)
        right.tick_params(length=0, labelcolor=INK)
        for side in ("top", "left", "bottom"):
            right.spines[side].set_visible(False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
